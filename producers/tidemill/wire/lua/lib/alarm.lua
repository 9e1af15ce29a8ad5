-- A time at which a scheduler has to act. Wakes the schedulers only if nothing was to be done before it.
local function wake_scheduler() redis.call('SPUBLISH', root .. 'alarm', '') end

local function set_due(queue, due)
  local agenda = root .. 'agenda'
  local earlier = redis.call('ZADD', agenda, 'LT', 'CH', due, queue) == 1
  if earlier and redis.call('ZCOUNT', agenda, '-inf', due) == 1 then wake_scheduler() end
end
