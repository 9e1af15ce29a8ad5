#!lua flags=allow-oom
-- A worker renews its lease, and learns which of its running jobs are to be cancelled and which queues are paused.
-- KEYS  1 workers  2 description of this worker (hash)  then the settings of its queues
-- ARGV  1 now  2 incarnation  3 lease ms  then the ids of its running jobs
-- returns {0} when the lease is gone (this incarnation was recovered: it must stop what it runs);
--         {1, ids to cancel, indexes of the settings of paused queues}
-- include: clock root
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then return { 0 } end
redis.call('ZADD', KEYS[1], clock(ARGV[1]) + tonumber(ARGV[3]), ARGV[2])
redis.call('PEXPIRE', KEYS[2], 10 * tonumber(ARGV[3]))
local cancelled, paused = {}, {}
-- pcall: a record that a foreign hand has overwritten must not cost this worker its lease.
for i = 4, #ARGV do
  if redis.pcall('HEXISTS', root .. 'job:' .. ARGV[i], 'x') == 1 then cancelled[#cancelled + 1] = ARGV[i] end
end
for index = 3, #KEYS do
  if redis.pcall('HEXISTS', KEYS[index], 'paused') == 1 then paused[#paused + 1] = index end
end
return { 1, cancelled, paused }
