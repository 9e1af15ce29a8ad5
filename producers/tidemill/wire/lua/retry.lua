#!lua flags=allow-oom
-- RUNNING -> SCHEDULED: the attempt failed and is to be made again after a delay.
-- KEYS  1 ready stream  2 wheel
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept
--       then for each job: id, entry, attempt, delay ms, error
-- returns a code for each job: 1 done (or cancelled meanwhile), 0 fenced, 2 done before (a repeated call)
-- include: arguments clock root stream record fence expect ticket alarm expiry count drop over retain leave finish event limits let_in permits reschedule
local codes, rescheduled = reschedule('retry', 5, function(i) return { 'e', ARGV[i + 4] } end)
count(ARGV[3], 'retried', rescheduled)
return codes
