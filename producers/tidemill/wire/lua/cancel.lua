#!lua flags=allow-oom
-- SCHEDULED | READY -> CANCELLED at once; RUNNING gets a flag, and its worker a message: it ends as CANCELLED when the
-- worker has stopped it, or as it ends by itself if that comes first.
-- The ticket of a READY job stays until it is read: XDEL of an undelivered entry turns the group's lag into nil.
-- KEYS  1.. records
-- ARGV  1 now  2 result ttl ms  3 most kept  then the ids, in the order of the records
-- returns a state for each job: 'cancelled', 'running' (requested), the terminal state it has already, '' (unknown)
-- include: arguments clock root record expect alarm count drop over retain leave finish event ticket turns leave_turns
local now, kept = clock(ARGV[1]), { ttl = number(ARGV[2]), most = number(ARGV[3]) }
local records, states, cancelled = {}, {}, {}
for index = 1, #KEYS do
  expect_key(KEYS[index], root .. 'job:' .. (ARGV[3 + index] or ''))
  local record = read(ARGV[3 + index], 'q', 'l', 'u', 'w', 'n', 'z', 'p', 'te')
  local state = record[1]
  if (state == 'scheduled' or state == 'ready') and record[2] then
    expect('zset', root .. 'done:' .. record[2])
    records[index] = record
  elseif state == 'running' and record[3] then
    records[index] = record
  end
  states[index] = state or ''
end
for index, key in ipairs(KEYS) do
  local id, record = ARGV[3 + index], records[index]
  if record and record[1] == 'running' then
    redis.call('HSET', key, 'x', 1)
    redis.call('SPUBLISH', root .. 'control', 'cancel ' .. record[3] .. ' ' .. id)
  elseif record then
    finish('cancelled', record[2], id, now, { unpack(record, 4, 7) }, kept)
    if record[1] == 'scheduled' then redis.pcall('ZREM', root .. 'wheel:' .. record[2], id) end
    if record[1] == 'ready' and record[9] then leave_turns(record[2], record[8], record[9], id) end
    cancelled[#cancelled + 1] = id
    states[index] = 'cancelled'
  end
end
event('cancel', cancelled)
return states
