#!lua flags=allow-oom
-- SCHEDULED | READY -> EXPIRED for the jobs whose time to start is over.
-- KEYS  1 expiring
-- ARGV  1 now  2 result ttl ms  3 most kept  4 page size
-- returns {number of ids looked at, number expired}
-- include: clock root over retain finish event
local now = clock(ARGV[1])
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])
local expired = {}
for _, id in ipairs(due) do
  local record = redis.call('HMGET', root .. 'job:' .. id, 's', 'q', 'u', 'w', 'n', 'z')
  if record[1] == 'scheduled' or record[1] == 'ready' then
    finish('expired', record[2], id, now, { unpack(record, 3, 6) }, { ARGV[2], ARGV[3] })
    if record[1] == 'scheduled' then redis.call('ZREM', root .. 'wheel:' .. record[2], id) end
    expired[#expired + 1] = id
  end
end
if #due > 0 then redis.call('ZREM', KEYS[1], unpack(due)) end
event('expire', expired)
return { #due, #expired }
