#!lua flags=allow-oom
-- RUNNING -> SCHEDULED: the attempt failed and is to be made again after a delay.
-- KEYS  1 ready stream  2 wheel  3 queue settings and counters (hash)
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept
--       then for each job: id, entry, attempt, delay ms, error
-- returns a code for each job: 1 done (or cancelled meanwhile), 0 fenced, 2 done before (a repeated call)
-- include: clock root fence ticket alarm over retain finish event reschedule
local codes, count = reschedule('retry', clock(ARGV[1]), ARGV[2], ARGV[3], 6, 5, function(key, i)
  redis.call('HSET', key, 'e', ARGV[i + 4])
end)
if count > 0 then redis.call('HINCRBY', KEYS[3], 'retried', count) end
return codes
