#!lua flags=allow-oom
-- Removes a recurring job; occurrences that are jobs already stay.
-- KEYS  1 definitions (hash)  2 occurrences (zset)
-- ARGV  1 name
-- returns 1 when it was known
redis.pcall('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
