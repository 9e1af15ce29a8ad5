#!lua flags=allow-oom
-- RUNNING -> SCHEDULED without spending an attempt: this worker can't run the job now (it does not know the task).
-- The reason stands in the record, and the id in the index of parked jobs of its task: adopt.lua looks there.
-- KEYS  1 ready stream  2 wheel  3 queue settings and counters (hash)
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept
--       then for each job: id, entry, attempt, delay ms, reason, task
-- returns a code for each job: 1 done (or cancelled meanwhile), 0 fenced, 2 done before (a repeated call)
-- include: clock root fence ticket alarm over retain finish event reschedule
local now = clock(ARGV[1])
local codes, count = reschedule('park', now, ARGV[2], ARGV[3], 6, 6, function(key, i)
  redis.call('HSET', key, 'y', ARGV[i + 4])
  redis.call('HINCRBY', key, 'v', 1)
  redis.call('ZADD', root .. 'parked:' .. ARGV[i + 5], now, ARGV[i])
end)
if count > 0 then redis.call('HINCRBY', KEYS[3], 'parked', count) end
return codes
