#!lua flags=allow-oom
-- SCHEDULED -> READY for the due jobs of one queue, at most as many as the ready streams have room for.
-- KEYS  1 wheel  2 agenda
-- ARGV  1 now  2 queue  3 most jobs in one call  4 high-water mark of the ready streams (jobs)
-- returns {promoted, next due ms ('' = wheel empty), 1 if more are due now, 1 if the ready streams are full}
-- include: clock root ticket
local now = clock(ARGV[1])
local queue = ARGV[2]
local room = tonumber(ARGV[4])
for _, lane in ipairs({ 'high', 'normal', 'low' }) do
  room = room - redis.call('XLEN', root .. 'ready:' .. queue .. ':' .. lane)
end
local most = math.min(tonumber(ARGV[3]), math.max(room, 0))
local due = most > 0 and redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, most) or {}
local promoted = 0
for _, id in ipairs(due) do
  local key = root .. 'job:' .. id
  local record = redis.call('HMGET', key, 's', 'p', 'y', 't')
  -- Any other state: a place without its record (a repair or a foreign hand); the place goes, nothing runs.
  if record[1] == 'scheduled' then
    issue_ticket(queue, record[2], id)
    redis.call('HSET', key, 's', 'ready')
    if record[3] then
      redis.call('HDEL', key, 'y')
      redis.call('ZREM', root .. 'parked:' .. record[4], id)
    end
    promoted = promoted + 1
  end
end
if #due > 0 then redis.call('ZREM', KEYS[1], unpack(due)) end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[2] then
  redis.call('ZREM', KEYS[2], queue)
  return { promoted, '', 0, 0 }
end
redis.call('ZADD', KEYS[2], first[2], queue)
local more = tonumber(first[2]) <= now
return { promoted, first[2], more and 1 or 0, (more and room - promoted <= 0) and 1 or 0 }
