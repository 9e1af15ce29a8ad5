#!lua flags=allow-oom
-- SCHEDULED | READY -> EXPIRED for the jobs whose time to start is over.
-- KEYS  1 expiring
-- ARGV  1 now  2 result ttl ms  3 most kept  4 page size
-- returns {number of ids looked at, number expired}
-- include: arguments clock root record expect alarm count drop over retain leave finish event ticket turns leave_turns
local now, kept = clock(ARGV[1]), { ttl = number(ARGV[2]), most = number(ARGV[3]) }
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])
local waiting, expired = {}, {}
for _, id in ipairs(due) do
  local record = read(id, 'q', 'u', 'w', 'n', 'z', 'p', 'te')
  if (record[1] == 'scheduled' or record[1] == 'ready') and record[2] then
    expect('zset', root .. 'done:' .. record[2])
    waiting[#waiting + 1] = { id, record }
  end
end
for _, one in ipairs(waiting) do
  local id, record = unpack(one)
  finish('expired', record[2], id, now, { unpack(record, 3, 6) }, kept)
  if record[1] == 'scheduled' then redis.pcall('ZREM', root .. 'wheel:' .. record[2], id) end
  if record[1] == 'ready' and record[8] then leave_turns(record[2], record[7], record[8], id) end
  expired[#expired + 1] = id
end
if #due > 0 then redis.call('ZREM', KEYS[1], unpack(due)) end
event('expire', expired)
return { #due, #expired }
