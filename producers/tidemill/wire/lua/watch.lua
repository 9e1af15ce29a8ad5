#!lua flags=allow-oom
-- A process starts to wait for a job: it is told through its channel when the job is over.
-- KEYS  1 record
-- ARGV  1 id  2 waiter
-- returns the state ('' = unknown job); the waiter is noted only if the state is not terminal
-- include: arguments root record
expect_key(KEYS[1], root .. 'job:' .. ARGV[1])
local state, waiters = unpack(read(ARGV[1], 'w'))
if state == 'scheduled' or state == 'ready' or state == 'running' then
  if not waiters then
    redis.call('HSET', KEYS[1], 'w', ARGV[2])
  elseif not string.find(waiters, ARGV[2], 1, true) then
    redis.call('HSET', KEYS[1], 'w', waiters .. ' ' .. ARGV[2])
  end
end
return state or ''
