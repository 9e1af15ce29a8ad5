#!lua flags=allow-oom
-- SCHEDULED -> READY for the due jobs of one queue, at most as many as the ready streams have room for.
-- The agenda keeps the time at which this queue is to be looked at again: its earliest due time, or now when more are
-- due. So among many queues with due jobs each gets its turn, and one that is full never hides those behind it.
-- Where jobs wait for their turn it is looked at all the while, so that they go on though tickets were lost.
-- KEYS  1 wheel  2 agenda
-- ARGV  1 now  2 queue  3 most jobs in one call  4 high-water mark of the ready streams (jobs)
-- returns {promoted, next due ms ('' = wheel empty), 1 if more are due now, 1 if the ready streams are full}
-- include: arguments clock root record expect ticket alarm count turns join_turns let_in_turns
local now, queue, room = clock(ARGV[1]), ARGV[2], number(ARGV[4])
expect_key(KEYS[1], root .. 'wheel:' .. queue)
expect('zset', KEYS[2])
for lane in pairs(LANES) do room = room - redis.call('XLEN', root .. 'ready:' .. queue .. ':' .. lane) end
local most = math.min(number(ARGV[3]), math.max(room, 0))
local due = most > 0 and redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, most) or {}
local promoted = 0
for _, id in ipairs(due) do
  local record = examine(id, 'p', 'y', 't', 'te')
  if record[1] == 'scheduled' then
    if record[5] then
      join_turns(queue, record[2], record[5], id, now)
    else
      issue_ticket(queue, record[2], id)
    end
    redis.call('HSET', root .. 'job:' .. id, 's', 'ready')
    if record[3] then
      redis.call('HDEL', root .. 'job:' .. id, 'y')
      if record[4] then redis.pcall('ZREM', root .. 'parked:' .. record[4], id) end
    end
    promoted = promoted + 1
  elseif record.corrupt then
    issue_ticket(queue, 'normal', id) -- take.lua buries it, with the reason
  end
  -- Any other state: a place whose record is gone or elsewhere (a foreign hand); the place goes, nothing runs.
end
if #due > 0 then redis.call('ZREM', KEYS[1], unpack(due)) end
joined_turns(now)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local more = first[2] and tonumber(first[2]) <= now
local next_look = more and now or first[2]
if let_in_spare(queue) and (not next_look or tonumber(next_look) > now + LOOK_AT_TURNS_MS) then
  next_look = now + LOOK_AT_TURNS_MS
end
if next_look then redis.call('ZADD', KEYS[2], next_look, queue) else redis.call('ZREM', KEYS[2], queue) end
if not first[2] then return { promoted, '', 0, 0 } end
return { promoted, first[2], more and 1 or 0, (more and room - #due <= 0) and 1 or 0 }
