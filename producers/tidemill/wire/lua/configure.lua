#!lua flags=allow-oom
-- Sets or clears settings of a queue (`limit`, `paused`, `durability`), and tells the workers.
-- KEYS  1 queue settings (hash)  2 queues
-- ARGV  1 queue  then field, value pairs ('' clears the field)
-- returns 1
-- include: arguments root expect
expect_rows(2, 2)
expect_key(KEYS[1], root .. 'queue:' .. ARGV[1])
expect('hash', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'known', 1)
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('SPUBLISH', root .. 'control', 'queues')
return 1
