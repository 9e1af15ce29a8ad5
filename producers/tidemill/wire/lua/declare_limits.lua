#!lua flags=allow-oom
-- A worker says what the limits of its tasks allow. A full server takes it as well: a worker comes to drain it.
-- KEYS  1 limits (hash)
-- ARGV  for each task: task, what its limits allow ('' = it has none)
-- returns 1
-- include: arguments root expect
expect_rows(1, 2)
expect_key(KEYS[1], root .. 'limits')
expect('hash', KEYS[1])
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[1], ARGV[i])
  else
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 1
