#!lua flags=allow-oom
-- RUNNING -> SCHEDULED without spending an attempt: this worker can't run the job now (it does not know the task).
-- The reason stands in the record, and the id in the index of parked jobs of its task: adopt.lua looks there.
-- KEYS  1 ready stream  2 wheel
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept
--       then for each job: id, entry, attempt, delay ms, reason, task
-- returns a code for each job: 1 done (or cancelled meanwhile), 0 fenced, 2 done before (a repeated call)
-- include: arguments clock root stream record fence expect ticket alarm expiry count drop over retain leave finish event limits let_in permits reschedule
local codes, parked = reschedule('park', 6, function(i, now, uncounted)
  -- Without its index entry the job is only found later, by its due time: that must not stop it from being parked.
  redis.pcall('ZADD', root .. 'parked:' .. ARGV[i + 5], now, ARGV[i])
  return { 'y', ARGV[i + 4], 'v', uncounted + 1 }
end)
count(ARGV[3], 'parked', parked)
return codes
