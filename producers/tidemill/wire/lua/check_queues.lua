#!lua flags=allow-oom
-- Is every queue known, its wheel looked at in time, and what waits for a turn counted? An unknown queue is never swept, nor are its jobs recovered.
-- KEYS  1 queues  2 agenda
-- ARGV  1 now  2 1: repair  then names of queues
-- returns findings
-- include: arguments clock root expect alarm ticket record count turns finding
local now, repair = clock(ARGV[1]), ARGV[2] == '1'
if repair then
  expect('set', KEYS[1])
  expect('zset', KEYS[2])
end

local function has_keys(queue)
  local keys = {}
  for _, place in ipairs({ 'queue:', 'wheel:', 'dead:', 'done:' }) do keys[#keys + 1] = root .. place .. queue end
  for lane in pairs(LANES) do keys[#keys + 1] = root .. 'ready:' .. queue .. ':' .. lane end
  return redis.call('EXISTS', unpack(keys)) > 0
end

local function is_late(queue, due)
  local looked_at = redis.pcall('ZSCORE', KEYS[2], queue)
  if type(looked_at) == 'table' then return false end
  return not looked_at or tonumber(looked_at) > math.max(tonumber(due), now)
end

-- Of more tenants than this the count is not looked at: it would take the server for too long.
local MOST_TENANTS = 5000

local function check_counts(queue)
  if redis.pcall('HEXISTS', root .. 'queue:' .. queue, 'tenants') ~= 1 then return end
  for lane in pairs(LANES) do
    local turns, lines = turn_keys(queue, lane)
    local seen, tenants = whole(redis.pcall('HGET', root .. 'queue:' .. queue, 'turns_' .. lane), 0), 0
    local found = redis.pcall('ZRANGE', turns, 0, MOST_TENANTS)
    for _, tenant in ipairs(found) do
      local jobs = tenant ~= '' and redis.pcall('ZCARD', lines .. tenant) or 0
      tenants = tenants + (type(jobs) == 'number' and jobs or 0)
    end
    if not found.err and #found <= MOST_TENANTS and tenants ~= seen then
      report('turns_miscounted', lane, text_of(seen), repair)
      if repair then redis.call('HSET', root .. 'queue:' .. queue, 'turns_' .. lane, tenants) end
    end
  end
end

for i = 3, #ARGV do
  local queue = ARGV[i]
  if redis.pcall('SISMEMBER', KEYS[1], queue) == 0 and has_keys(queue) then
    report('queue_unknown', queue, '', repair)
    if repair then redis.call('SADD', KEYS[1], queue) end
  end
  local first = redis.pcall('ZRANGE', root .. 'wheel:' .. queue, 0, 0, 'WITHSCORES')
  if first[2] and is_late(queue, first[2]) then
    report('agenda_late', queue, '', repair)
    if repair then set_due(queue, first[2]) end
  end
  check_counts(queue)
end
return findings
