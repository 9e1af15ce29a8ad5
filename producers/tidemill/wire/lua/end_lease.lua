#!lua flags=allow-oom
-- A worker's process has died, and its supervisor has seen it: the lease ends now, so that a scheduler recovers the jobs
-- at once. Nothing is removed here: a read of the dead process may still be served, and the reaper looks after it.
-- KEYS  1 workers  2 description of the worker (hash)
-- ARGV  1 now  2 incarnation  3 how its process ended
-- returns 1;  0: it holds no lease
-- include: arguments clock root expect alarm
expect_rows(4, 1)
expect_key(KEYS[2], root .. 'worker:' .. ARGV[2])
expect('zset', KEYS[1])
expect('hash', KEYS[2])
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], 'XX', 'LT', clock(ARGV[1]), ARGV[2])
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], 'ended', ARGV[3]) end
wake_scheduler()
return 1
