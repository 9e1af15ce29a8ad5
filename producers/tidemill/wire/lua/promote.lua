#!lua flags=allow-oom
-- SCHEDULED -> READY for the due jobs of one queue, at most as many as the ready streams have room for.
-- The agenda keeps the time at which this queue is to be looked at again: its earliest due time, or now when more are
-- due. So among many queues with due jobs each gets its turn, and one that is full never hides those behind it.
-- Who has to wait for a limit, since others stand in its line, goes behind them: he stays SCHEDULED.
-- Where jobs wait for their turn it is looked at all the while, so that they go on though tickets were lost.
-- KEYS  1 wheel  2 agenda
-- ARGV  1 now  2 queue  3 most jobs in one call  4 high-water mark of the ready streams (jobs)
-- returns {promoted, next due ms ('' = wheel empty), 1 if more are due now, 1 if the ready streams are full}
-- include: arguments clock root record expect alarm ticket leave join count turns join_turns let_in_turns
local now, queue, room = clock(ARGV[1]), ARGV[2], number(ARGV[4])
expect_key(KEYS[1], root .. 'wheel:' .. queue)
expect('zset', KEYS[2])
for lane in pairs(LANES) do room = room - redis.call('XLEN', root .. 'ready:' .. queue .. ':' .. lane) end
local most = math.min(number(ARGV[3]), math.max(room, 0))
local due = most > 0 and redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, most) or {}
local promoted, gone = 0, {}

-- The line in which others wait for one of these limits.
local function line_of(li)
  for name in string.gmatch(li, '([rc][^ :]+)') do
    if line_length(name) > 0 then return name end
  end
end

for _, id in ipairs(due) do
  local record = examine(id, 'p', 'y', 't', 'li', 'i', 'te')
  local line = record[1] == 'scheduled' and record[5] and line_of(record[5])
  if record[1] == 'scheduled' and record[3] and record[4] then
    redis.pcall('ZREM', root .. 'parked:' .. record[4], id)
  end
  if line then
    local turn = whole(record[6]) and record[6] or text_of(last_turn(line, now))
    join_line(queue, id, line, turn, 'it waits for its turn behind others')
  elseif record[1] == 'scheduled' then
    if record[7] then
      join_turns(queue, record[2], record[7], id, now)
    else
      issue_ticket(queue, record[2], id)
    end
    redis.call('HSET', root .. 'job:' .. id, 's', 'ready')
    if record[3] then redis.call('HDEL', root .. 'job:' .. id, 'y') end
    promoted = promoted + 1
  elseif record.corrupt then
    issue_ticket(queue, 'normal', id) -- take.lua buries it, with the reason
  end
  if not line then gone[#gone + 1] = id end
  -- Any other state: a place whose record is gone or elsewhere (a foreign hand); the place goes, nothing runs.
end
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
joined_turns(now)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local more = first[2] and tonumber(first[2]) <= now
local next_look = more and now or first[2]
if let_in_spare(queue) and (not next_look or tonumber(next_look) > now + LOOK_AT_TURNS_MS) then
  next_look = now + LOOK_AT_TURNS_MS
end
if next_look then redis.call('ZADD', KEYS[2], next_look, queue) else redis.call('ZREM', KEYS[2], queue) end
if not first[2] then return { promoted, '', 0, 0 } end
return { promoted, first[2], more and 1 or 0, (more and room - #gone <= 0) and 1 or 0 }
