-- Jobs that got into a full queue in the place of others: so many of those that wait have to go, none of a higher
-- priority. A scheduler sees to it (shed.lua), as who enqueues may take nothing out of a stream.
local function displace(queue, priority, jobs)
  redis.call('HINCRBY', root .. 'queue:' .. queue, 'displace_' .. (LANES[priority] or 'normal'), jobs)
  if redis.call('ZADD', root .. 'watched', 'LT', 'CH', 0, queue) == 1 then wake_scheduler() end
end
