#!lua flags=allow-oom
-- A worker arrives: its lease, its description, its queues' consumer groups (created at 0: what was enqueued before
-- the first worker came is delivered), and the tasks that it knows with their queues.
-- KEYS  1 workers  2 description of this worker (hash)  3 queues  4 tasks  then the ready streams of its queues
-- ARGV  1 now  2 incarnation  3 lease ms  4 number of description pairs  5.. field, value pairs
--       then the queue names' count, the names, then task, queue pairs
-- returns 1
-- include: arguments clock root expect alarm ticket
local now, lease_ms = clock(ARGV[1]), number(ARGV[3])
local pairs_end = 4 + 2 * number(ARGV[4])
local names_end = pairs_end + 1 + number(ARGV[pairs_end + 1])
if pairs_end < 6 or names_end <= pairs_end then refuse('a count is wrong') end
expect_rows(names_end + 1, 2)
expect_key(KEYS[2], root .. 'worker:' .. ARGV[2])
expect('zset', KEYS[1], root .. 'departed')
expect('set', KEYS[3])
expect('hash', KEYS[2], KEYS[4])
for i = pairs_end + 2, names_end do expect('hash', root .. 'queue:' .. ARGV[i]) end
expect('stream', unpack(KEYS, 5))
for index = 5, #KEYS do
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[index], GROUP, '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
end
redis.call('HSET', KEYS[2], unpack(ARGV, 5, pairs_end))
-- The description outlives the lease, so that a dead worker can still be named, and then ends by itself.
redis.call('PEXPIRE', KEYS[2], 10 * lease_ms)
for i = pairs_end + 2, names_end do
  redis.call('SADD', KEYS[3], ARGV[i])
  redis.call('HSET', root .. 'queue:' .. ARGV[i], 'known', 1)
end
for i = names_end + 1, #ARGV, 2 do redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', KEYS[1], now + lease_ms, ARGV[2])
redis.call('ZREM', root .. 'departed', ARGV[2]) -- taken for dead, it repairs what it missed under the same name
wake_scheduler() -- one that sleeps longer than this lease would look after it too late
return 1
