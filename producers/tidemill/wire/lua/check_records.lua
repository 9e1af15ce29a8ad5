#!lua flags=allow-oom
-- Do records stand where their state says? Finds those that do not, and puts them there when told to.
-- The place of a READY or RUNNING job is its ticket, which can't be looked up by the job's id: such jobs are returned,
-- and check_tickets.lua has to see their tickets. Not so a READY one that waits for its turn: that stands in its line.
-- KEYS  1 agenda  2 expiring
-- ARGV  1 now  2 1: repair  3 result ttl ms  then ids
-- returns {findings, jobs that need a ticket: id, queue, holder ('' unless running), mark}
-- include: arguments clock root record expect alarm expiry unique finding mark ticket count turns
local now, repair, ttl = clock(ARGV[1]), ARGV[2] == '1', number(ARGV[3])
local with_ticket = {}
if repair then expect('zset', KEYS[1], KEYS[2]) end

-- A key of a foreign type says nothing.
local function is_missing(key, id) return redis.pcall('ZSCORE', key, id) == false end

local function check_wheel(id, queue, due)
  if not is_missing(root .. 'wheel:' .. queue, id) then return end
  report('not_in_wheel', id, '', repair)
  if repair then
    set_due(queue, whole(due, now))
    redis.call('ZADD', root .. 'wheel:' .. queue, whole(due, now), id)
  end
end

-- Who waits for a limit would never be due: he has to stand in the line of one.
local function check_line(id, queue, li)
  for name in string.gmatch(li or '', '([rc][^ :]+)') do
    if not is_missing(root .. 'line:' .. name, id) then return end
  end
  report('not_in_line', id, '', repair)
  if repair then
    set_due(queue, now)
    redis.call('ZADD', root .. 'wheel:' .. queue, now, id)
    redis.call('HDEL', root .. 'job:' .. id, 'i', 'y')
  end
end

local function check_retention(id, kind, place, score)
  if not is_missing(place, id) then return end
  report(kind, id, '', repair)
  if repair then redis.call('ZADD', place, score, id) end
end

local function check_lock(id, digest)
  local holder = redis.pcall('GET', root .. 'unique:' .. digest)
  if holder == id or type(holder) == 'table' then return end
  local free = not holder_of(digest)
  report('lock_missing', id, holder or '', repair and free)
  if repair and free then redis.call('SET', root .. 'unique:' .. digest, id) end
end

local function check_expiry(id, expires)
  if not whole(expires) or not is_missing(KEYS[2], id) then return end
  report('not_expiring', id, '', repair)
  if repair then expire_again(id, expires) end
end

local function is_in_line(id, record)
  if record[1] ~= 'ready' or not record[15] then return false end
  local _, lines = turn_keys(record[6], LANES[record[14]] or 'normal')
  return not is_missing(lines .. record[15], id)
end

local function needs_ticket(id, record)
  if is_in_line(id, record) then return end
  local holder = record[1] == 'running' and record[2] or ''
  for _, word in ipairs({ id, record[6], holder, mark_of(record) }) do with_ticket[#with_ticket + 1] = word end
end

local function check_corrupt(id, record)
  report('corrupt_record', id, record.corrupt or 'its queue is missing')
  if record.foreign or not record[6] then return end
  for _, place in ipairs({ 'wheel:', 'dead:', 'done:' }) do
    if not is_missing(root .. place .. record[6], id) then return end
  end
  needs_ticket(id, record)
end

for i = 4, #ARGV do
  local id = ARGV[i]
  local record = examine(id, 'l', 'a', 'v', 'c', 'q', 'd', 'f', 'n', 'u', 'z', 'li', 'i', 'p', 'te')
  local state, queue = record[1], record[6]
  local waits = state == 'scheduled' or state == 'ready'
  if record.corrupt or (state and not queue) then
    check_corrupt(id, record)
  elseif state == 'dead' then
    check_retention(id, 'not_among_dead', root .. 'dead:' .. queue, whole(record[8], now))
  elseif waits or state == 'running' then
    if state == 'scheduled' then check_wheel(id, queue, record[7]) else needs_ticket(id, record) end
    if state == 'scheduled' and record[13] then check_line(id, queue, record[12]) end
    if waits then check_expiry(id, record[9]) end
    if record[10] then check_lock(id, record[10]) end
  elseif state then
    check_retention(id, 'not_among_finished', root .. 'done:' .. queue, now + whole(record[11], ttl))
  end
end
return { findings, with_ticket }
