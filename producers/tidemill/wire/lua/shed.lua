#!lua flags=allow-oom
-- READY -> EXPIRED for jobs that wait in a queue over its limit, in the place of which others got in (displace.lua):
-- of the lowest lane first, and none of a higher priority than those. What was given to a worker stays.
-- Of a lane the oldest go. Those behind them then start sooner, and under a lasting overload the oldest are what nobody
-- waits for any more: a queue that dropped the newest would run nothing but stale jobs. (CoDel, RFC 8289, drops at the
-- head as well.) And only from its head can a stream lose what no worker was given: it is delivered here, and
-- acknowledged, so no dead ticket stays behind, and the group's lag is right.
-- Of a queue with a limit by age it notes how long the oldest has waited: see age.lua.
-- KEYS  1 watched  2 queue settings (hash)  3 4 5 ready streams low, normal, high
-- ARGV  1 now  2 queue  3 result ttl ms  4 most kept  5 most jobs in one call  6 ms until the next look at an age
--       7 the error of a job that goes
-- returns {1 if more are to go, which limit is nearest ('' = none), then the ids of those that went}
-- include: arguments clock root record expect ticket age admission undelivered count drop over retain leave finish event
local now, queue = clock(ARGV[1]), ARGV[2]
local kept, most, every = { ttl = number(ARGV[3]), most = number(ARGV[4]) }, number(ARGV[5]), number(ARGV[6])
local CONSUMER, BY_LANE = 'shed', { 'displace_low', 'displace_normal', 'displace_high' }
expect_key(KEYS[1], root .. 'watched')
expect_key(KEYS[2], root .. 'queue:' .. queue)
expect('hash', KEYS[2])
expect('zset', KEYS[1], root .. 'done:' .. queue)
for index, lane in ipairs({ 'low', 'normal', 'high' }) do
  expect_key(KEYS[index + 2], stream_of(queue, lane))
  expect('stream', KEYS[index + 2])
end

local function oldest_age()
  local oldest = now
  for index = 3, #KEYS do oldest = math.min(oldest, waiting_since(KEYS[index]) or now) end
  return now - oldest
end

local function tickets(stream, wanted)
  local words = { 'XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', wanted, 'STREAMS', stream, '>' }
  local reply = redis.pcall(unpack(words))
  if reply and reply.err then -- no worker has come to this lane yet
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0')
    reply = redis.call(unpack(words))
  end
  return reply and reply[1][2] or {}
end

-- Takes so many tickets out of a stream, and returns how many jobs are gone from it. Whose job is not to be ended here
-- goes back: one that runs, its group having been destroyed, or that take.lua buries or cancels.
local gone = {}
local function take_out(stream, wanted)
  local entries, returned = {}, 0
  if wanted <= 0 or redis.call('XLEN', stream) == 0 then return 0 end
  for index, ticket in ipairs(tickets(stream, wanted)) do
    local id = ticket[2][2]
    local record = examine(id, 'q', 'u', 'w', 'n', 'z', 'x')
    local is_here = record.corrupt or (record[2] or queue) == queue
    if record[1] == 'ready' and is_here and not record[7] then
      redis.call('HSET', root .. 'job:' .. id, 'e', ARGV[7])
      finish('expired', queue, id, now, { unpack(record, 3, 6) }, kept)
      gone[#gone + 1] = id
    elseif is_here and (record.corrupt or record[1] == 'ready' or record[1] == 'running') then
      redis.call('XADD', stream, '*', 'j', id)
      returned = returned + 1
    end
    entries[index] = ticket[1]
  end
  drop_tickets(stream, entries)
  redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, CONSUMER) -- a read makes it, also one that finds nothing
  return #entries - returned
end

-- What waits for its tenant's turn is not counted: it has no ticket that could be taken out.
local settings = redis.call(
  'HMGET', KEYS[2], 'known', 'durability', 'limit', 'limit_bytes', 'mean_bytes', 'limit_age_ms', 'oldest'
)
local debts = redis.call('HMGET', KEYS[2], unpack(BY_LANE))
local has_age = whole(settings[6]) ~= nil
if has_age then settings[7] = string.format('%.0f %.0f', oldest_age(), now) end
local admission = admission_of(queue, settings, now)
local displaced, total = {}, 0
for index = 1, #BY_LANE do
  displaced[index] = whole(debts[index], 0)
  total = total + displaced[index]
end
local excess, which = 0, ''
if admission and total > 0 then excess, which = admission.excess() end
local wanted = math.min(excess, total, most)

-- Each job that got in is one that may go, of its own lane or of one below.
local allowed, left = total, wanted
for index = 1, #BY_LANE do
  local found = take_out(KEYS[index + 2], math.min(left, allowed))
  left, allowed = left - found, allowed - found
  local above = 0
  for higher = index + 1, #BY_LANE do above = above + displaced[higher] end
  allowed = math.min(allowed, above)
end
local taken = wanted - left
local more = taken > 0 and math.min(excess, total) > wanted

for index, name in ipairs(BY_LANE) do
  local paid = more and math.min(taken, displaced[index]) or displaced[index]
  taken = taken - paid
  if displaced[index] > 0 then redis.call('HSET', KEYS[2], name, text_of(displaced[index] - paid)) end
end
if has_age then
  local age = #gone > 0 and string.format('%.0f %.0f', oldest_age(), now) or settings[7]
  redis.call('HSET', KEYS[2], 'oldest', age)
end
if more or has_age then
  redis.call('ZADD', KEYS[1], more and 0 or now + every, queue)
else
  redis.call('ZREM', KEYS[1], queue)
end
count(queue, 'shed', #gone)
event('shed', gone)
return { more and 1 or 0, which, unpack(gone) }
