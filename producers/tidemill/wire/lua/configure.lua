#!lua flags=allow-oom
-- Sets or clears settings of a queue (`limit`, `paused`, `durability`), and tells the workers. A queue with a limit by age
-- is watched from now on; shed.lua ends that.
-- KEYS  1 queue settings (hash)  2 queues
-- ARGV  1 queue  then field, value pairs ('' clears the field)
-- returns 1
-- include: arguments root expect alarm
expect_rows(2, 2)
expect_key(KEYS[1], root .. 'queue:' .. ARGV[1])
expect('hash', KEYS[1])
expect('zset', root .. 'watched')
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'known', 1)
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    if ARGV[i] == 'limit_age_ms' then
      redis.call('ZADD', root .. 'watched', 0, ARGV[1])
      wake_scheduler()
    end
  end
end
redis.call('SPUBLISH', root .. 'control', 'queues')
return 1
