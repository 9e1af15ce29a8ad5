-- The marker of an effect: `call` began it, or made it; `done` holds the result once it has happened. While it has only
-- begun, `job`, `worker` and `attempt` are those of the attempt that began it, and `told` what it was told.
local function read_marker()
  local found = redis.call('HMGET', KEYS[2], 'call', 'done', 'told', 'job', 'worker', 'attempt')
  return { call = found[1], done = found[2], told = found[3], job = found[4], worker = found[5], attempt = found[6] }
end

-- Without a time to end at, a marker would stay for ever; with one that is over, it would be no marker.
local function expect_ttl()
  if number(ARGV[5]) < 1 then refuse('a marker needs a time to live') end
end

-- Another job has begun it, and still runs: it is neither done nor to be asked for.
local function is_at_it(marker)
  return marker.job and marker.job ~= ARGV[1] and holds(read(marker.job, 'l', 'a'), marker.worker, marker.attempt)
end

local function write_marker(...)
  redis.call('HSET', KEYS[2], 'call', ARGV[4], ...)
  redis.call('PEXPIRE', KEYS[2], number(ARGV[5]))
end

local function mark_begun(told)
  write_marker('told', told, 'job', ARGV[1], 'worker', ARGV[2], 'attempt', ARGV[3])
end
