#!lua flags=allow-oom
-- A process starts to wait for a job: it is told through its channel when the job is over.
-- KEYS  1 record
-- ARGV  1 waiter
-- returns the state ('' = unknown job); the waiter is noted only if the state is not terminal
local state, waiters = unpack(redis.call('HMGET', KEYS[1], 's', 'w'))
if state == 'scheduled' or state == 'ready' or state == 'running' then
  if not waiters then
    redis.call('HSET', KEYS[1], 'w', ARGV[1])
  elseif not string.find(waiters, ARGV[1], 1, true) then
    redis.call('HSET', KEYS[1], 'w', waiters .. ' ' .. ARGV[1])
  end
end
return state or ''
