#!lua flags=allow-oom
-- A running job reports how far it is; only its current attempt may.
-- KEYS  1 record
-- ARGV  1 incarnation  2 attempt  3 progress
-- returns 1 done, 0 fenced
-- include: fence
local record = redis.call('HMGET', KEYS[1], 's', 'l', 'a')
if not holds(record[1], record[2], record[3], ARGV[1], ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'm', ARGV[3])
return 1
