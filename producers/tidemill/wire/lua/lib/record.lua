-- Reads a record: its state (false: there is none), then the fields that are asked for.
-- Anybody can write to Redis, and one bad record must not stop its neighbours. So a key of another type, and a hash
-- with no state of ours, read as a dead letter, with `corrupt` saying what was found; take.lua makes it one.
local STATES = { scheduled = 1, ready = 1, running = 1, succeeded = 1, dead = 1, cancelled = 1, expired = 1 }

local function read(id, ...)
  local key = root .. 'job:' .. id
  local record = redis.pcall('HMGET', key, 's', ...)
  if record.err then return { 'dead', foreign = true, corrupt = 'its key holds no hash' } end
  if not STATES[record[1]] and (record[1] or redis.call('EXISTS', key) == 1) then
    local seen = string.gsub(string.sub(record[1] or 'missing', 1, 32), '[^%w ._-]', '?')
    record.corrupt = 'its state is ' .. seen
    record[1] = 'dead'
  end
  return record
end

-- A number of a record; what a foreign hand made of it counts as the default.
local function whole(text, default)
  if text and #text <= 15 and string.find(text, '^%d+$') then return tonumber(text) end
  return default
end
