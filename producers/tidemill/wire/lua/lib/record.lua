-- Reads a record: its state (false: there is none), then the fields that are asked for.
-- Anybody can write to Redis, and one bad record must not stop its neighbours. So a key of another type, and a state
-- that is none of ours, read as a dead letter, with `corrupt` saying what was found; take.lua makes it one.
local STATES = { scheduled = 1, ready = 1, running = 1, succeeded = 1, dead = 1, cancelled = 1, expired = 1 }

local function mark_corrupt(record, what)
  record[1], record.corrupt = 'dead', what
  return record
end

-- Any other error, as that this user may not read it, says nothing about the record.
local function not_a_hash(reply)
  if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then error(reply) end
  return mark_corrupt({ foreign = true }, 'its key holds no hash')
end

local function with_known_state(record)
  if not record[1] or STATES[record[1]] then return record end
  local seen = string.gsub(string.sub(record[1], 1, 32), '[^%w ._-]', '?')
  return mark_corrupt(record, 'its state is ' .. seen)
end

local function read(id, ...)
  local record = redis.pcall('HMGET', root .. 'job:' .. id, 's', ...)
  if record.err then return not_a_hash(record) end
  return with_known_state(record)
end

-- As `read`, for those who come from a place of the job: there a hash without a state is corrupt as well.
local function examine(id, ...)
  local record = read(id, ...)
  if not record[1] and redis.call('EXISTS', root .. 'job:' .. id) == 1 then
    return mark_corrupt(record, 'its state is missing')
  end
  return record
end

-- As `examine`, but all fields by their names: a record that waits has few of the many that it may have, and to ask
-- for each of them costs the server more than to return those that are there.
local function examine_all(id)
  local reply, record = redis.pcall('HGETALL', root .. 'job:' .. id), {}
  if reply.err then return not_a_hash(reply) end
  for i = 1, #reply, 2 do record[reply[i]] = reply[i + 1] end
  record[1], record.corrupt, record.foreign = record.s, nil, nil -- no field of a foreign hand passes for a verdict
  if not record.s and #reply > 0 then return mark_corrupt(record, 'its state is missing') end
  return with_known_state(record)
end

-- A number of a record; what a foreign hand made of it counts as the default.
local function whole(text, default)
  if text and #text <= 15 and string.find(text, '^%d+$') then return tonumber(text) end
  return default
end
