#!lua
-- (new) -> SCHEDULED | READY, for one job or for a chunk of jobs that share all but id, unique key and arguments.
-- All or nothing: a queue without room for the whole chunk takes none of it. An id that exists answers "already
-- there", so a call whose reply was lost is safe to repeat. No allow-oom: a full server refuses new work only.
-- KEYS  1 queue settings (hash)
-- ARGV  1 now  2 queue  3 task  4 priority  5 due ms ('' = delay)  6 delay ms  7 lives for ms ('' = does not expire)
--       8 result ttl ms ('' = default)  9 options  10 trace parent  then for each job: id, unique digest, body
-- returns {1, code, detail, ...}: 'ready' | 'scheduled' (detail: ''), 'exists' (detail: its state),
--         'conflict' (detail: the id of the job that holds the unique key);  {0, waiting, limit} when full
-- include: clock root alarm ticket create expiry
local now = clock(ARGV[1])
local queue = ARGV[2]
local job = {
  queue = queue, task = ARGV[3], priority = ARGV[4],
  due = ARGV[5] ~= '' and tonumber(ARGV[5]) or now + tonumber(ARGV[6]),
  expires = ARGV[7] ~= '' and now + tonumber(ARGV[7]),
  result_ttl = ARGV[8], options = ARGV[9], trace = ARGV[10],
}
local settings = redis.call('HMGET', KEYS[1], 'limit', 'known')
if settings[1] then
  local limit = tonumber(settings[1])
  local waiting = redis.call('ZCARD', root .. 'wheel:' .. queue)
  for _, lane in ipairs({ 'high', 'normal', 'low' }) do
    waiting = waiting + redis.call('XLEN', root .. 'ready:' .. queue .. ':' .. lane)
  end
  if waiting + (#ARGV - 10) / 3 > limit then
    -- The answer to a repeated call must not change from "already there" to "full".
    if redis.call('EXISTS', root .. 'job:' .. ARGV[11]) == 0 then return { 0, waiting, limit } end
  end
end
local replies, any_later = { 1 }, false
for i = 11, #ARGV, 3 do
  local id, unique = ARGV[i], ARGV[i + 1]
  local code, detail
  local state = redis.call('HGET', root .. 'job:' .. id, 's')
  local holder = not state and unique ~= '' and redis.call('GET', root .. 'unique:' .. unique)
  if state then
    code, detail = 'exists', state
  elseif holder then
    code, detail = 'conflict', holder
  else
    local later = create(job, id, unique, ARGV[i + 2], now)
    any_later = any_later or later
    code, detail = later and 'scheduled' or 'ready', ''
  end
  replies[#replies + 1] = code
  replies[#replies + 1] = detail
end
if not settings[2] then
  redis.call('HSET', KEYS[1], 'known', 1)
  redis.call('SADD', root .. 'queues', queue)
end
if any_later then set_due(queue, job.due) end
if job.expires then announce_expiry(job.expires) end
return replies
