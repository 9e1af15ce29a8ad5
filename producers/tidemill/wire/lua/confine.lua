#!lua flags=allow-oom
-- A running job learns which limits it has: who enqueued it did not know. Its worker then hands it back, and take.lua
-- decides when it may start.
-- KEYS  1 record
-- ARGV  1 id  2 incarnation  3 attempt  4 limits
-- returns 1 done, 0 fenced
-- include: arguments root record fence
expect_key(KEYS[1], root .. 'job:' .. ARGV[1])
if not holds(read(ARGV[1], 'l', 'a'), ARGV[2], ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], 'li', ARGV[4])
return 1
