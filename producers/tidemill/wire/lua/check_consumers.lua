#!lua flags=allow-oom
-- Does every consumer of a ready stream belong to a worker with a lease? For one that has none nobody cares: it is given
-- a lease, so that its worker can renew it if it lives, and a scheduler recovers its jobs if it does not. One that holds
-- nothing is removed. A read of a worker that is gone may still be served, so consumers have to be idle for a while.
-- KEYS  1 workers  2 ready stream
-- ARGV  1 now  2 1: repair  3 least idle time ms  4 lease ms to give
-- returns findings
-- include: arguments clock root expect alarm ticket finding
local now, repair, idle_ms, lease_ms = clock(ARGV[1]), ARGV[2] == '1', number(ARGV[3]), number(ARGV[4])
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[2], GROUP)
if consumers.err then return findings end
if repair then expect('zset', KEYS[1]) end

local function give_lease(incarnation)
  local key = root .. 'worker:' .. incarnation
  redis.call('ZADD', KEYS[1], 'NX', now + lease_ms, incarnation)
  if redis.call('EXISTS', key) == 0 then
    redis.call('HSET', key, 'lease_ms', lease_ms)
    redis.call('PEXPIRE', key, 10 * lease_ms)
  end
  wake_scheduler()
end

for _, words in ipairs(consumers) do
  local fields = {}
  for i = 1, #words, 2 do fields[words[i]] = words[i + 1] end
  local lease = redis.pcall('ZSCORE', KEYS[1], fields.name)
  if lease == false and fields.idle >= idle_ms then
    if fields.pending > 0 then
      report('consumer_without_lease', fields.name, fields.pending, repair)
      if repair then give_lease(fields.name) end
    else
      report('consumer_left_over', fields.name, '', repair)
      if repair then redis.call('XGROUP', 'DELCONSUMER', KEYS[2], GROUP, fields.name) end
    end
  end
end
return findings
