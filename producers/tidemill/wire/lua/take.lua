#!lua flags=allow-oom
-- READY -> RUNNING: reads tickets, writes incarnation and attempt into each record, returns what to run.
-- Lanes: `high` first, but the reserved slots are offered to `low` and `normal` before; what they do not use falls
-- through (the rule against starvation; the worker counts the reserves, see lanes.py).
-- KEYS  1 workers  then for each queue: its settings (hash), its streams high, normal, low
-- ARGV  1 now  2 incarnation  3 slots  4 reserved for low  5 reserved for normal  6 result ttl ms  7 most kept
--       then for each ticket that a blocking read delivered: index of its stream in KEYS, entry id, job id
-- returns {'lost'} when this incarnation holds no lease;
--         {'ok', paused, missing, jobs}: paused = indexes of the settings of paused queues, missing = indexes of
--         streams without a group, a job = {stream index, entry, id, attempt, ...RECORD from its 8th field on}
-- include: clock root ticket over retain finish bury event
local now, incarnation = clock(ARGV[1]), ARGV[2]
if not redis.call('ZSCORE', KEYS[1], incarnation) then return { 'lost' } end
local RECORD = { 's', 'l', 'x', 'u', 'w', 'n', 'z', 'a', 'v', 't', 'b', 'b1', 'b2', 'b3', 'o', 'k', 'c', 'd', 'g', 'e' }
local KNOWN = { scheduled = 1, ready = 1, running = 1, succeeded = 1, dead = 1, cancelled = 1, expired = 1 }
local KEPT = { ARGV[6], ARGV[7] }
local jobs, paused, missing, stale = {}, {}, {}, {}
local ended = { expire = {}, cancel = {}, corrupt = {} }

-- A record that no Tidemill wrote becomes a dead letter with that reason, and its neighbours run.
local function bury_corrupt(queue, id, record)
  if record.err then -- not even a hash: nothing can be written there, but it is listed
    redis.call('ZADD', root .. 'dead:' .. queue, now, id)
  else
    local reason = { type = 'CorruptRecord', message = 'its state is ' .. (record[1] or 'missing'), traceback = '' }
    bury(queue, id, now, cmsgpack.pack(reason), record[4], record[5], record[6])
  end
end

-- Returns how the ticket ends when the job is not to run: an event's name, '' for a ticket without a job.
local function refusal(queue, id, record)
  if record.err then return 'corrupt' end
  local state = record[1]
  if state and not KNOWN[state] then return 'corrupt' end
  if not state then return redis.call('EXISTS', root .. 'job:' .. id) == 1 and 'corrupt' or '' end
  -- A stray is a job that this incarnation took, but whose reply was lost on the way.
  local stray = state == 'running' and record[2] == incarnation
  if state ~= 'ready' and not stray then return '' end
  if record[3] then return 'cancel' end
  if record[6] and (tonumber(record[6]) or now) <= now then return 'expire' end
end

local function start(index, entry, id)
  local queue = string.match(KEYS[index], 'ready:(.*):%l+$')
  local record = redis.pcall('HMGET', root .. 'job:' .. id, unpack(RECORD))
  local refused = refusal(queue, id, record)
  if refused then
    if refused == 'corrupt' then
      bury_corrupt(queue, id, record)
    elseif refused ~= '' then
      finish(refused == 'cancel' and 'cancelled' or 'expired', queue, id, now, { unpack(record, 4, 7) }, KEPT)
    end
    if refused ~= '' then table.insert(ended[refused], id) end
    stale[index] = stale[index] or {}
    table.insert(stale[index], entry)
    return 0
  end
  local key = root .. 'job:' .. id
  local attempt = (tonumber(record[8]) or 0) + 1
  redis.call('HSET', key, 's', 'running', 'l', incarnation, 'a', attempt, 'j', now)
  if record[1] == 'running' then record[9] = redis.call('HINCRBY', key, 'v', 1) end
  if record[6] then redis.call('ZREM', root .. 'expiring', id) end
  record[8] = attempt
  jobs[#jobs + 1] = { index, entry, id, unpack(record, 8, #RECORD) }
  return 1
end

local function read(index, count)
  if count <= 0 then return 0 end
  local reply = redis.pcall('XREADGROUP', 'GROUP', GROUP, incarnation, 'COUNT', count, 'STREAMS', KEYS[index], '>')
  if not reply then return 0 end
  if reply.err then
    missing[#missing + 1] = index
    return 0
  end
  local started = 0
  for _, ticket in ipairs(reply[1][2]) do started = started + start(index, ticket[1], ticket[2][2]) end
  return started
end

local is_paused = {}
for settings = 2, #KEYS, 4 do
  is_paused[settings] = redis.call('HEXISTS', KEYS[settings], 'paused') == 1
  if is_paused[settings] then paused[#paused + 1] = settings end
end
local slots = tonumber(ARGV[3])
for i = 8, #ARGV, 3 do
  local index, entry, id = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  if is_paused[index - (index - 2) % 4] then -- back to its stream, behind the others: nothing starts while paused
    redis.call('XADD', KEYS[index], '*', 'j', id)
    drop_tickets(KEYS[index], { entry })
  else
    slots = slots - start(index, entry, id)
  end
end
for settings = 2, #KEYS, 4 do
  if not is_paused[settings] then
    slots = slots - read(settings + 3, math.min(slots, tonumber(ARGV[4])))
    slots = slots - read(settings + 2, math.min(slots, tonumber(ARGV[5])))
    for lane = 1, 3 do slots = slots - read(settings + lane, slots) end
  end
end
for index, entries in pairs(stale) do drop_tickets(KEYS[index], entries) end
for name, ids in pairs(ended) do event(name, ids) end
return { 'ok', paused, missing, jobs }
