#!lua
-- DEAD -> READY by hand: the counts of attempts and crashes start again, the fence does not.
-- KEYS  1 audit  2.. records
-- ARGV  1 now  2 by  3 reason  4 operation  5 filter  6 1: none beyond its queue's limit  then for each job, in the
--       order of the records: id, when it died ('' = whenever it was), its new arguments ('' = those that it has)
-- returns for each job {'ready'} | {'conflict', id of the unique key's holder} | {'changed'}: it has died again since |
--         {'full'}: its queue has no room | {state} when it is not a dead letter that can run ('' = unknown, 'corrupt' =
--         its record is none of ours)
-- include: arguments clock root record expect alarm ticket age admission event unique count turns join_turns create audit
local now, hand = clock(ARGV[1]), { unpack(ARGV, 2, 5) }
local answers, letters, locked = {}, {}, {}
local is_limited, rooms = ARGV[6] == '1', {}
expect_rows(7, 3)
expect_audit(KEYS[1])

-- Whether one more has room, with those that this call has let in. Their arguments count as the mean.
local function is_full(queue)
  if not is_limited then return false end
  local room = rooms[queue]
  if not room then
    local settings = redis.call(
      'HMGET', root .. 'queue:' .. queue,
      'known', 'durability', 'limit', 'limit_bytes', 'mean_bytes', 'limit_age_ms', 'oldest',
      'turns_high', 'turns_normal', 'turns_low'
    )
    room = { admission = admission_of(queue, settings, now), mean = whole(settings[5], 0), jobs = 0 }
    rooms[queue] = room
  end
  if not room.admission then return false end
  local jobs = room.jobs + 1
  if room.admission.fullness(jobs, jobs * room.mean) > ALL then return true end
  room.jobs = jobs
  return false
end

-- Of two letters with one unique key, the first takes it.
local function answer_for(record, died)
  if record[1] ~= 'dead' then return { record[1] or '' } end
  if record.corrupt or not record[2] then return { 'corrupt' } end
  if died ~= '' and died ~= record[6] then return { 'changed' } end
  local holder = record[4] and (locked[record[4]] or holder_of(record[4]))
  if holder then return { 'conflict', holder } end
  if is_full(record[2]) then return { 'full' } end
  return { 'ready' }
end

for i = 7, #ARGV, 3 do
  local id = ARGV[i]
  expect_key(KEYS[(i - 1) / 3], root .. 'job:' .. id)
  local record = read(id, 'q', 'p', 'u', 'a', 'f', 'te')
  local answer = letters[id] and { 'ready' } or answer_for(record, ARGV[i + 1])
  if answer[1] == 'ready' and record[1] == 'dead' and not letters[id] then
    expect('stream', stream_of(record[2], record[3]))
    letters[id] = { record, ARGV[i + 2] }
    letters[#letters + 1] = id
    if record[4] then locked[record[4]] = id end
  end
  answers[#answers + 1] = answer
end

local kept, edited = {}, {}
for _, id in ipairs(letters) do
  local ids = letters[id][2] == '' and kept or edited
  ids[#ids + 1] = id
end
audit('retry', now, hand, kept)
audit('edit', now, hand, edited)
for _, id in ipairs(letters) do
  local record, body = unpack(letters[id])
  local key = root .. 'job:' .. id
  if record[7] then
    join_turns(record[2], record[3], record[7], id, now)
  else
    issue_ticket(record[2], record[3], id)
  end
  if record[4] then redis.call('SET', root .. 'unique:' .. record[4], id) end
  local fields = { 's', 'ready', 'c', now, 'v', whole(record[5], 0) }
  if body ~= '' then
    redis.call('HDEL', key, 'li', unpack(BODY_FIELDS))
    put_body(fields, #fields, body)
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('HDEL', key, 'f', 'k', 'd', 'x', 'n', 'w')
  redis.pcall('ZREM', root .. 'dead:' .. record[2], id)
end
joined_turns(now)
event('requeue', letters)
return answers
