#!lua flags=allow-oom
-- SCHEDULED | READY -> CANCELLED at once; RUNNING gets a flag, and its worker a message: it ends as CANCELLED when the
-- worker has stopped it, or as it ends by itself if that comes first.
-- The ticket of a READY job stays until it is read: XDEL of an undelivered entry turns the group's lag into nil.
-- KEYS  1.. records
-- ARGV  1 now  2 result ttl ms  3 most kept  then the ids, in the order of the records
-- returns a state for each job: 'cancelled', 'running' (requested), the terminal state it has already, '' (unknown)
-- include: clock root over retain finish event
local now = clock(ARGV[1])
local states, cancelled = {}, {}
for index, key in ipairs(KEYS) do
  local id = ARGV[3 + index]
  local record = redis.call('HMGET', key, 's', 'q', 'l', 'u', 'w', 'n', 'z')
  local state = record[1] or ''
  if state == 'running' then
    redis.call('HSET', key, 'x', 1)
    redis.call('SPUBLISH', root .. 'control', 'cancel ' .. record[3] .. ' ' .. id)
  elseif state == 'scheduled' or state == 'ready' then
    finish('cancelled', record[2], id, now, { unpack(record, 4, 7) }, { ARGV[2], ARGV[3] })
    if state == 'scheduled' then redis.call('ZREM', root .. 'wheel:' .. record[2], id) end
    cancelled[#cancelled + 1] = id
    state = 'cancelled'
  end
  states[index] = state
end
event('cancel', cancelled)
return states
