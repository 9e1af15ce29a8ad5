-- A time at which a scheduler has to act. Wakes the schedulers only if nothing was to be done before it.
local function wake_scheduler() redis.call('SPUBLISH', root .. 'alarm', '') end

local function set_due(queue, due)
  local first = redis.call('ZRANGE', root .. 'agenda', 0, 0, 'WITHSCORES')
  redis.call('ZADD', root .. 'agenda', 'LT', due, queue)
  if not first[2] or due < tonumber(first[2]) then wake_scheduler() end
end
