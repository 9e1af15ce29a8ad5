#!lua
-- Publishes a recurring job. An unchanged definition keeps its next occurrence: a restart does not shift it.
-- KEYS  1 definitions (hash)  2 occurrences (zset)
-- ARGV  1 name  2 definition  3 next occurrence ms
-- returns 1 when it is new or changed, 0 when it was known
-- include: arguments root alarm
local next_ms = number(ARGV[3])
local planned = redis.call('ZSCORE', KEYS[2], ARGV[1])
if planned and redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], next_ms, ARGV[1])
wake_scheduler()
return 1
