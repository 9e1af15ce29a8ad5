#!lua flags=allow-oom
-- READY -> RUNNING: reads tickets, writes incarnation and attempt into each record, returns what to run.
-- Lanes: `high` first, but the reserved slots are offered to `low` and `normal` before; what they do not use falls
-- through (the rule against starvation; the worker counts the reserves, see lanes.py).
-- A job with limits starts only if all of them let it: else it is SCHEDULED, and waits for its turn (limiter.lua).
-- KEYS  1 workers  then for each queue: its settings (hash), its streams high, normal, low
-- ARGV  1 now  2 incarnation  3 slots  4 reserved for low  5 reserved for normal  6 result ttl ms  7 most kept
--       then for each ticket that was delivered before: index of its stream in KEYS, entry id, job id
-- returns {'lost'} when this incarnation holds no lease;
--         {'ok', paused, missing, jobs, now}: paused = indexes of the settings of paused queues, missing = indexes of
--         streams without a group, a job = {stream index, entry, id, attempt, uncounted, then t b b1 b2 b3 o k c d g e
--         of its record, and n and li where it has one}
-- include: arguments clock root record ticket alarm expiry count drop over retain leave limits join let_in finish bury event limiter turns let_in_turns
local now, incarnation = clock(ARGV[1]), ARGV[2]
local slots, low, normal = number(ARGV[3]), number(ARGV[4]), number(ARGV[5])
expect_rows(8, 3)
for i = 8, #ARGV, 3 do
  if not KEYS[number(ARGV[i])] then refuse('there is no such stream') end
end
if not redis.call('ZSCORE', KEYS[1], incarnation) then return { 'lost' } end
local KEPT = { ttl = number(ARGV[6]), most = number(ARGV[7]) }
local jobs, paused, missing, stale = {}, {}, {}, {}
local taken_at = text_of(now)
local ended = { expire = {}, cancel = {}, bury = {} }

-- A record that no Tidemill wrote becomes a dead letter with that reason, and its neighbours run.
local function bury_corrupt(queue, id, record)
  local key = root .. 'job:' .. id
  if record.foreign then
    redis.call('DEL', key)
    redis.call('HSET', key, 'q', queue, 'c', now)
  end
  local message = 'the record is not one that Tidemill wrote: ' .. record.corrupt
  local reason = cmsgpack.pack({ type = 'CorruptRecord', message = message, traceback = '' })
  bury(queue, id, now, reason, { record.u, record.w, record.n })
end

-- A stray is a job that this incarnation took, but whose reply was lost on the way.
local function is_stray(record) return record[1] == 'running' and record.l == incarnation end

-- Returns how the ticket ends when the job is not to run: an event's name, '' for a ticket without a job. A ticket may
-- outlive its job, and find a later one of the same id: that one has a ticket of its own, perhaps in another queue.
local function refusal(record, queue, may_be_stray)
  if record.corrupt then return 'bury' end
  if record[1] ~= 'ready' and not (may_be_stray and is_stray(record)) then return '' end
  if (record.q or queue) ~= queue then return '' end
  if record.x then return 'cancel' end
  if record.n and whole(record.n, now) <= now then return 'expire' end
end

local function refuse(how, queue, id, record)
  if how == '' then return end
  if how == 'bury' then
    bury_corrupt(queue, id, record)
  else
    local state, life = how == 'cancel' and 'cancelled' or 'expired', { record.u, record.w, record.n, record.z }
    finish(state, queue, id, now, life, KEPT)
  end
  table.insert(ended[how], id)
end

local function drop_later(index, entry)
  stale[index] = stale[index] or {}
  table.insert(stale[index], entry)
end

-- A ticket of a job that runs is only delivered again when somebody has destroyed the group, and what was pending with
-- it. The holder gets it back, so that its job is found should it die; a holder that is gone has died: see recover.lua.
local function leave_to_holder(index, entry, id, record)
  if record.l == incarnation then return end
  if record.l and redis.call('ZSCORE', KEYS[1], record.l) then
    redis.call('XCLAIM', KEYS[index], GROUP, record.l, 0, entry, 'JUSTID')
    return
  end
  redis.call('XADD', KEYS[index], '*', 'j', id)
  local key, blame = root .. 'job:' .. id, record.h and 0 or 1
  redis.call('HSET', key, 's', 'ready', 'k', whole(record.k, 0) + blame, 'v', whole(record.v, 0) + 1)
  redis.call('HDEL', key, 'm', 'h')
  if record.li then leave_limits(id, record.li) end
  expire_again(id, record.n)
  drop_later(index, entry)
end

local queues, limiter, limits_by_queue, had_to_wait = {}, nil, {}, {}
local function queue_of(index)
  queues[index] = queues[index] or string.match(KEYS[index], ':ready:([^:]+):%l+$')
  return queues[index]
end

-- A job's limits and its queue's, which the record has from then on: who gives back permits looks there alone.
local function with_limits(id, li, own)
  local all = li or ''
  for _, name in pairs(own) do
    if name and not string.find(' ' .. all .. ' ', ' ' .. name .. ' ', 1, true) then all = all .. ' ' .. name end
  end
  if all ~= (li or '') then redis.call('HSET', root .. 'job:' .. id, 'li', all) end
  return all
end

local function start(index, entry, id, may_be_stray)
  local record, queue = examine_all(id), queue_of(index)
  local is_here = (record.q or queue) == queue
  if record[1] == 'running' and is_here and not (may_be_stray and is_stray(record)) then
    leave_to_holder(index, entry, id, record)
    return 0
  end
  local refused = refusal(record, queue, may_be_stray)
  if refused then
    refuse(refused, queue, id, record)
    drop_later(index, entry)
    return 0
  end
  local own_limits = limits_by_queue[queue]
  if own_limits then record.li = with_limits(id, record.li, own_limits) end
  if record.li and not is_stray(record) then
    limiter = limiter or limiter_of(now)
    if not limiter.lets_start(queue, entry, id, record) then
      drop_later(index, entry)
      return 0
    end
  end
  local key, attempt, uncounted = root .. 'job:' .. id, whole(record.a, 0) + 1, whole(record.v, 0)
  if is_stray(record) then
    uncounted = uncounted + 1
    redis.call('HSET', key, 'a', attempt, 'j', now, 'v', uncounted)
  else
    redis.call('HSET', key, 's', 'running', 'l', incarnation, 'a', attempt, 'j', taken_at)
  end
  -- Whose worker died before is not blamed again for having been taken: its worker says when it starts (hold.lua).
  if whole(record.k, 0) > 0 then redis.call('HSET', key, 'h', 1) end
  if record.n then redis.pcall('ZREM', root .. 'expiring', id) end
  jobs[#jobs + 1] = {
    index, entry, id, attempt, uncounted, record.t or false,
    record.b or false, record.b1 or false, record.b2 or false, record.b3 or false, record.o or false,
    record.k or false, record.c or false, record.d or false, record.g or false, record.e or false,
  }
  if record.n then jobs[#jobs][17] = record.n end
  if record.li then jobs[#jobs][17], jobs[#jobs][18] = record.n or false, record.li end
  return 1
end

-- Whom a limit refuses must not leave a slot empty; but a call does not turn away more than about these: a
-- millisecond or so. From a queue whose jobs had to wait before, no more are read at once.
local MOST_REFUSED = 60
local function is_enough() return limiter and limiter.refused >= MOST_REFUSED end

-- Of a queue that has seen a tenant, what is taken now is let in now.
local is_shared, LANES_BY_KEY = {}, { 'high', 'normal', 'low' }

local function deliver(index, most)
  local lane = (index - 2) % 4
  if is_shared[index - lane] then let_in_turns(queue_of(index), LANES_BY_KEY[lane], math.max(most, 0)) end
  local started, left = 0, most
  while left > 0 and not is_enough() do
    local page = (limiter or had_to_wait[queue_of(index)]) and math.min(left, MOST_REFUSED) or left
    local reply = redis.pcall('XREADGROUP', 'GROUP', GROUP, incarnation, 'COUNT', page, 'STREAMS', KEYS[index], '>')
    if not reply then break end
    if reply.err then
      missing[#missing + 1] = index
      break
    end
    local tickets = reply[1][2]
    for _, ticket in ipairs(tickets) do started = started + start(index, ticket[1], ticket[2][2]) end
    left = #tickets < page and 0 or left - page
  end
  return started
end

-- Only a ticket that is still this incarnation's: one that was recovered meanwhile has a successor in the stream, and
-- a job that ran on the old one would have no ticket that the reaper could find.
local function is_ours(index, entry)
  local found = redis.pcall('XPENDING', KEYS[index], GROUP, entry, entry, 1, incarnation)
  if found.err then missing[#missing + 1] = index end
  return not found.err and #found > 0
end

-- Nothing starts while a queue is paused: the ticket goes back to its stream, behind the others.
local function hand_back(index, entry, id)
  local record = examine_all(id)
  if record[1] == 'ready' or record[1] == 'running' or record.corrupt then
    redis.call('XADD', KEYS[index], '*', 'j', id)
  end
  if is_stray(record) then
    redis.call('HSET', root .. 'job:' .. id, 's', 'ready', 'v', whole(record.v, 0) + 1)
    if record.li then leave_limits(id, record.li) end
    expire_again(id, record.n)
  end
  drop_later(index, entry)
end

local is_paused = {}
for settings = 2, #KEYS, 4 do
  local found = redis.call('HMGET', KEYS[settings], 'paused', 'rate', 'concurrency', 'limited', 'tenants')
  is_paused[settings], is_shared[settings] = found[1] ~= false, found[5]
  if found[4] then had_to_wait[queue_of(settings + 1)] = true end
  if found[2] or found[3] then
    local queue = queue_of(settings + 1)
    limits_by_queue[queue] = { found[2] and 'rq.' .. queue, found[3] and 'cq.' .. queue }
  end
  if is_paused[settings] then paused[#paused + 1] = settings end
end
local seen = {}
for i = 8, #ARGV, 3 do
  local index, entry, id = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2]
  if is_ours(index, entry) then
    if is_paused[index - (index - 2) % 4] then
      hand_back(index, entry, id)
    else
      slots = slots - start(index, entry, id, not seen[id])
      seen[id] = true
    end
  end
end
repeat
  local called, waiting = 0, 0
  for settings = 2, #KEYS, 4 do
    if not is_paused[settings] then
      local from_low = deliver(settings + 3, math.min(slots, low))
      local from_normal = deliver(settings + 2, math.min(slots - from_low, normal))
      low, normal, slots = low - from_low, normal - from_normal, slots - from_low - from_normal
      for lane = 1, 3 do slots = slots - deliver(settings + lane, slots) end
    end
  end
  if limiter then called, waiting = limiter.settle() end
until slots <= 0 or called + waiting == 0 or is_enough()
for index, entries in pairs(stale) do drop_tickets(KEYS[index], entries) end
for name, ids in pairs(ended) do event(name, ids) end
return { 'ok', paused, missing, jobs, now }
