-- The job that holds a unique key, and its state. A lock whose job is over or gone holds nothing: the next job takes
-- it over, so a lock that was left behind by a foreign hand heals itself.
local function holder_of(unique)
  local id = redis.pcall('GET', root .. 'unique:' .. unique)
  if type(id) ~= 'string' then return nil end
  local state = read(id)[1]
  if state == 'scheduled' or state == 'ready' or state == 'running' then return id, state end
  return nil
end
