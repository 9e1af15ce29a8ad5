#!lua
-- (new) -> SCHEDULED | READY, for one job or for a chunk of jobs that share all but id, unique key and arguments.
-- All or nothing, unless the caller asks for less: a queue without room for all that is new in the chunk takes none of
-- it. An id that exists answers "already there" and needs no room, so a call whose reply was lost is safe to repeat.
-- No allow-oom: a full server refuses new work only.
-- A queue whose `durability` the caller has not said to keep takes nothing: what can't be promised is not accepted.
-- KEYS  1 queue settings (hash)
-- ARGV  1 now  2 queue  3 task  4 priority  5 due ms ('' = delay)  6 delay ms  7 lives for ms ('' = does not expire)
--       8 result ttl ms ('' = default)  9 options  10 trace parent  11 durability levels that the caller can keep
--       12 of a chunk without room: '' | 'partial' (its first jobs, as many as have room, get in) | 'defer' (it goes into
--       the wheel until there is room, up to twice the limit) | 'shed' (it gets in, up to twice the limit, and others
--       that wait go: shed.lua)  13 limits of the jobs, a line each or one for all ('' = none)
--       14 tenants: '' (none) | a digest, of all jobs | a digest of each, joined
--       then for each job: id, unique digest, body
-- returns {1, then for each job: code, holder, state}: 'ready' | 'scheduled' (now enqueued), 'exists', 'conflict'
--         (holder: the id of the job that holds the unique key, state: that job's), 'full' (only if 12 is 'partial');
--         {0, fullness} when there is no room: thousandths, 'jobs' | 'bytes' | 'age' | 'tenant:' and whose it is, used,
--         limit, ms until there is room ('' = not known);  {0, 0, 'deadline', ms that it would wait, lives for ms, the
--         difference};
--         {2, durability} when the caller has to show first that it is kept;  {3, durability, number of replicas, then
--         as for 1} when a durability is set: the caller now sees to it, on this connection;
--         {4, fullness, a reply of 1 or 3} when the queue is filling up
-- include: arguments clock root record expect alarm ticket age admission displace expiry unique leave join count turns join_turns create tenant rooms replicas arrivals
local now, queue = clock(ARGV[1]), ARGV[2]
local job = {
  queue = queue, task = ARGV[3], priority = ARGV[4],
  due = ARGV[5] ~= '' and number(ARGV[5]) or now + number(ARGV[6]),
  expires = ARGV[7] ~= '' and now + number(ARGV[7]),
  result_ttl = ARGV[8] ~= '' and number(ARGV[8]), options = ARGV[9], trace = ARGV[10],
}
expect_rows(15, 3)
expect_tenants(ARGV[14], (#ARGV - 14) / 3)
expect_key(KEYS[1], root .. 'queue:' .. queue)
local settings = redis.call(
  'HMGET', KEYS[1],
  'known', 'durability', 'limit', 'limit_bytes', 'mean_bytes', 'limit_age_ms', 'oldest',
  'turns_high', 'turns_normal', 'turns_low', 'rate', 'concurrency', 'tenants', 'tenant_limits'
)
local durability, replicas = settings[2], 0
if durability and not string.find(' ' .. ARGV[11] .. ' ', ' ' .. durability .. ' ', 1, true) then
  return { 2, durability }
elseif durability == 'replicated' then
  replicas = online_replicas()
  if replicas == 0 then
    return redis.error_reply('NOREPLICAS queue ' .. queue .. ' is to be replicated, but no replica is connected')
  end
end
local code = job.due > now and 'scheduled' or 'ready'
local arrivals = (ARGV[13] ~= '' or settings[11] or settings[12])
  and arrivals_of(queue, ARGV[13], { rate = settings[11], concurrency = settings[12] }, now)
local admission = (settings[3] or settings[4] or settings[6]) and admission_of(queue, settings, now)
local rooms = settings[14] and code == 'ready' and rooms_of_tenants(queue)

-- What becomes of each is known before anything is written.
local replies, news, states, locks = durability and { 3, durability, replicas } or { 1 }, {}, {}, {}
local last = #replies
local function answer(word, holder, state)
  replies[last + 1], replies[last + 2], replies[last + 3] = word, holder, state
  last = last + 3
end

local bytes, refused, refused_bytes = 0, 0, 0
local is_partial = (admission or rooms) and ARGV[12] == 'partial'
local keys = {}
for place = 1, (#ARGV - 14) / 3 do keys[place] = root .. 'job:' .. ARGV[12 + 3 * place] end
local some_exist = #keys > 0 and redis.call('EXISTS', unpack(keys)) > 0
for i = 15, #ARGV, 3 do
  local id, unique = ARGV[i], ARGV[i + 1]
  local state, holder = states[id] or some_exist and read(id)[1], nil
  if state then
    answer('exists', '', state)
  else
    if unique ~= '' then
      if locks[unique] then holder, state = locks[unique], code else holder, state = holder_of(unique) end
    end
    local size = #ARGV[i + 2]
    local is_over = rooms and not holder and not rooms.add(tenant_of(ARGV[14], (i - 15) / 3))
    if holder then
      answer('conflict', holder, state)
    elseif is_partial
      and (refused > 0 or is_over or admission and admission.fullness(#news + 1, bytes + size) > ALL) then
      answer('full', '', '')
      refused, refused_bytes = refused + 1, refused_bytes + size
    else
      local word = code
      if arrivals and code == 'ready' and arrivals.has_to_wait((i - 12) / 3) then word = 'scheduled' end
      answer(word, '', word)
      news[#news + 1] = i
      bytes = bytes + size
      states[id], locks[unique] = word, id
    end
  end
end
if #news + refused == 0 then
  -- WAIT answers for the writes of its own connection: without one it would answer at once, though an earlier call,
  -- whose reply was lost, may have made the jobs a moment ago. Replicas get this write behind those.
  if durability then redis.call('HSET', KEYS[1], 'known', 1) end
  return replies
end

if rooms and rooms.over and refused == 0 then return { 0, rooms.describe() } end
local share, which, displaced = -1, nil, 0
if admission then
  share, which = admission.fullness(#news + refused, bytes + refused_bytes)
  if share > ALL and refused == 0 and ARGV[12] == 'shed' and share <= MOST_DEFERRED and code == 'ready' then
    displaced = #news
  elseif share > ALL and refused == 0 then
    local ms = admission.ms_until_room(0, 0, #news, bytes)
    local due = math.max(job.due, now + (ms == '' and DEFER_MS or ms))
    if ARGV[12] ~= 'defer' or share > MOST_DEFERRED or job.expires and due >= job.expires then
      return { 0, admission.describe(share, which, ms) }
    end
    job.due, code = due, 'scheduled'
    for i = durability and 4 or 2, #replies, 3 do
      if replies[i] == 'ready' then replies[i], replies[i + 2] = code, code end
    end
  end
  local wait = job.expires and code == 'ready' and admission.wait_ms(job.priority)
  if wait and wait > job.expires - now then
    return { 0, 0, 'deadline', wait, job.expires - now, wait - (job.expires - now) }
  end
end

if job.expires then expect('zset', root .. 'expiring') end
if displaced > 0 then expect('zset', root .. 'watched') end
if not settings[1] then
  redis.call('SADD', root .. 'queues', queue)
  redis.call('HSET', KEYS[1], 'known', 1)
end
if code == 'scheduled' and #news > 0 then set_due(queue, job.due) end
if arrivals and arrivals.some_wait then
  expect('stream', stream_of(queue, job.priority))
  set_due(queue, NEVER)
end
if admission then admission.note_sizes(#news, bytes) end
if displaced > 0 then displace(queue, job.priority, displaced) end
local is_shared = settings[13] or ARGV[14] ~= ''
if is_shared and not settings[13] then redis.call('HSET', KEYS[1], 'tenants', 1) end
for _, i in ipairs(news) do
  local variant = arrivals and arrivals.variant(job, (i - 12) / 3, code == 'ready' and states[ARGV[i]] == 'scheduled')
  local tenant = is_shared and tenant_of(ARGV[14], (i - 15) / 3) or nil
  create(variant or job, ARGV[i], ARGV[i + 1], ARGV[i + 2], now, tenant, keys[(i - 12) / 3])
end
joined_turns(now)
if job.expires then announce_expiry(job.expires) end
if share < PRESSURE and refused == 0 then return replies end
if rooms and rooms.over then
  local pressed = { 4, rooms.describe() }
  pressed[#pressed + 1] = replies
  return pressed
end
local ms = refused > 0 and admission.ms_until_room(#news, bytes, refused, refused_bytes) or ''
local pressed = { 4, admission.describe(share, which, ms) }
pressed[#pressed + 1] = replies
return pressed
