-- A job that waits for its turn, and is over, leaves its line.
local function leave_turns(queue, priority, tenant, id)
  local lane = LANES[priority] or 'normal'
  local turns, lines = turn_keys(queue, lane)
  if redis.pcall('ZREM', lines .. tenant, id) ~= 1 then return end
  count_turns(queue, lane, -1)
  if redis.call('EXISTS', lines .. tenant) == 1 then return end
  redis.pcall('ZREM', turns, tenant)
  if redis.pcall('ZCARD', turns) == 1 then redis.call('DEL', turns) end
end
