#!lua
-- DEAD -> READY by hand: the counts of attempts and crashes start again, the fence does not.
-- KEYS  1 record
-- ARGV  1 now  2 id
-- returns {'ready'} | {state} when it is not a dead letter ('' = unknown) | {'conflict', id of the unique key's holder}
-- include: clock root ticket event
local record = redis.call('HMGET', KEYS[1], 's', 'q', 'p', 'u', 'a', 'n')
if record[1] ~= 'dead' then return { record[1] or '' } end
if record[4] then
  local holder = redis.call('GET', root .. 'unique:' .. record[4])
  if holder and holder ~= ARGV[2] then return { 'conflict', holder } end
  redis.call('SET', root .. 'unique:' .. record[4], ARGV[2])
end
issue_ticket(record[2], record[3], ARGV[2])
redis.call('HSET', KEYS[1], 's', 'ready', 'c', clock(ARGV[1]), 'v', record[5] or 0)
redis.call('HDEL', KEYS[1], 'f', 'k', 'd', 'x', 'n')
redis.call('ZREM', root .. 'dead:' .. record[2], ARGV[2])
event('requeue', { ARGV[2] })
return { 'ready' }
