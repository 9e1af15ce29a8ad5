#!lua flags=allow-oom
-- A worker is gone, by its own word or by the reaper's: its consumers, its description and its lease are removed. Its
-- name is kept among the departed: its last blocking read may still be served, and somebody has to look after that.
-- A consumer that still has pending tickets stays, and so does the lease, for the reaper: deleting it would lose jobs.
-- KEYS  1 workers  2 description of the worker (hash)  then ready streams
-- ARGV  1 now  2 incarnation  3 1: only if its lease is over (the reaper's word counts no more than the worker's)
--       4 1: that was the last look, forget it  5 end of the lease that was judged ('' = any), as in recover.lua
-- returns the number of streams with pending tickets (0: all is removed);  -1: its lease lives
-- include: arguments clock root expect alarm ticket
expect_key(KEYS[2], root .. 'worker:' .. ARGV[2])
expect('zset', KEYS[1], root .. 'departed')
local now = clock(ARGV[1])
local lease_end = ARGV[3] == '1' and redis.call('ZSCORE', KEYS[1], ARGV[2])
if lease_end and (tonumber(lease_end) > now or ARGV[5] ~= '' and tonumber(lease_end) ~= number(ARGV[5])) then return -1 end
local remaining = 0
for index = 3, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[index], GROUP, '-', '+', 1, ARGV[2])
  if not pending.err then
    if #pending == 0 then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[index], GROUP, ARGV[2])
    else
      remaining = remaining + 1
    end
  end
end
if remaining > 0 then
  -- The lease ends now: the reaper need not wait for it.
  redis.call('ZADD', KEYS[1], 'XX', 'LT', now, ARGV[2])
  wake_scheduler()
  return remaining
end
if ARGV[4] == '1' then
  redis.call('ZREM', root .. 'departed', ARGV[2])
elseif redis.call('ZSCORE', KEYS[1], ARGV[2]) then
  redis.call('ZADD', root .. 'departed', now, ARGV[2])
end
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 0
