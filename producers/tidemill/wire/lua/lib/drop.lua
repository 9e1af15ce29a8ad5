-- Retention removes a record. One that is not over is somebody else's by now (its old place was left behind by a
-- foreign hand, and the id was used again): it stays.
local function drop(id)
  local state = read(id)[1]
  if state == 'scheduled' or state == 'ready' or state == 'running' then return end
  redis.call('DEL', root .. 'job:' .. id)
end
