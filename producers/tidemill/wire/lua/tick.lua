#!lua flags=allow-oom
-- (new) -> READY: an occurrence of a recurring job becomes a job, and the next occurrence takes its place, in one step.
-- The job's id is name + time, and the due time must still be the one that the caller saw: any number of schedulers
-- make one job. With allow-oom, since a scheduler that is refused could not sweep either.
-- KEYS  1 occurrences (zset)  2 queue settings (hash)
-- ARGV  1 now  2 name  3 due seen ms  4 next ms  5 queue  6 task  7 priority  8 lives for ms ('' = does not expire)
--       9 result ttl ms ('' = default)  10 options  11 body  then the ids to make
-- returns the number of jobs made; -1 when another scheduler was first
-- include: arguments clock root record expect alarm ticket expiry count turns join_turns create tenant
local now, queue = clock(ARGV[1]), ARGV[5]
local seen = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not seen or tonumber(seen) ~= number(ARGV[3]) then return -1 end
expect_key(KEYS[2], root .. 'queue:' .. queue)
local next_ms = number(ARGV[4])
expect_rows(12, 1)
expect('hash', KEYS[2])
local job = {
  queue = queue, task = ARGV[6], priority = ARGV[7], due = now,
  expires = ARGV[8] ~= '' and now + number(ARGV[8]), result_ttl = ARGV[9] ~= '' and number(ARGV[9]), options = ARGV[10],
}
if job.expires then expect('zset', root .. 'expiring') end
if #ARGV > 11 then
  redis.call('SADD', root .. 'queues', queue)
  redis.call('HSET', KEYS[2], 'known', 1)
end
local made, tenant = 0, redis.call('HGET', KEYS[2], 'tenants') and NO_TENANT or nil
for i = 12, #ARGV do
  if not read(ARGV[i])[1] then
    create(job, ARGV[i], '', ARGV[11], now, tenant)
    made = made + 1
  end
end
joined_turns(now)
redis.call('ZADD', KEYS[1], next_ms, ARGV[2])
if job.expires and made > 0 then announce_expiry(job.expires) end
return made
