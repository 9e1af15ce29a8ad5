-- Admission: how full a queue is against its limits, and how soon there will be room. A queue without limits never
-- gets here.
-- Held are the jobs of the wheel and of the streams, those that run included. What they hold in bytes is estimated: each
-- call that gets in mixes the sizes of its arguments into their mean, in proportion to what is held.

-- In thousandths of a limit: from PRESSURE on callers are told, above ALL nothing gets in.
local PRESSURE, ALL = 850, 1000
-- Up to so much a queue takes jobs that can wait until there is room; for so long while that is not known.
local MOST_DEFERRED, DEFER_MS = 2000, 1000
-- The rate of ended jobs is taken over a second, or over so many jobs if they take longer; and believed for a minute.
local DRAIN_MS, DRAIN_JOBS, DRAIN_KNOWN_MS = 1000, 10, 60000
local ENDS = { 'succeeded', 'dead', 'cancelled', 'expired' }

-- `settings`: limit, limit_bytes, mean_bytes; nil: no limit is set.
local function limits_of(queue, settings, now)
  local jobs, bytes = whole(settings[1]), whole(settings[2])
  if not (jobs or bytes) then return nil end
  return { queue = queue, now = now, jobs = jobs, bytes = bytes, mean = whole(settings[3], 0) }
end

local function look_at_queue(limits)
  limits.held = redis.call('ZCARD', root .. 'wheel:' .. limits.queue)
  for lane in pairs(LANES) do
    limits.held = limits.held + redis.call('XLEN', root .. 'ready:' .. limits.queue .. ':' .. lane)
  end
end

-- What is used of each limit, with so many jobs of so many bytes more.
local function used_of(limits, jobs, bytes)
  return { jobs = limits.held + jobs, bytes = limits.held * limits.mean + bytes }
end

-- With so many jobs of so many bytes more: thousandths of the limit that is nearest, and which one it is.
local function fullness(limits, jobs, bytes)
  local most, which = -1, nil
  for name, used in pairs(used_of(limits, jobs, bytes)) do
    local limit = limits[name]
    local share = limit and (limit > 0 and used * 1000 / limit or ALL + 1)
    if share and share > most then most, which = share, name end
  end
  return most, which
end

-- Jobs of a million that end in a second; nil: not known yet.
local function drain_rate(limits)
  local key, now = root .. 'queue:' .. limits.queue, limits.now
  local seen = redis.call('HMGET', key, 'drained', 'drained_ms', 'drain_rate', unpack(ENDS))
  local ended, since = 0, now - whole(seen[2], 0)
  for i = 4, 3 + #ENDS do ended = ended + whole(seen[i], 0) end
  local known, passed = whole(seen[3]), ended - whole(seen[1], ended)
  if since > DRAIN_KNOWN_MS or since < 0 or passed < 0 then
    redis.call('HSET', key, 'drained', ended, 'drained_ms', now)
    redis.call('HDEL', key, 'drain_rate')
    return nil
  end
  local rate = since > 0 and math.floor(passed * 1e6 / since)
  if since < DRAIN_MS or passed < DRAIN_JOBS then return known or passed >= DRAIN_JOBS and rate or nil end
  redis.call('HSET', key, 'drained', ended, 'drained_ms', now, 'drain_rate', text_of(rate))
  return rate
end

-- In how many ms the queue is below PRESSURE again, if nothing more comes; '' : not known.
local function ms_until_room(limits, share)
  local rate = drain_rate(limits)
  if not rate or rate == 0 then return '' end
  local surplus = limits.held * math.max(0, 1 - PRESSURE / math.max(share, 1))
  return math.ceil(math.max(surplus, 1) * 1e6 / rate)
end

local function note_sizes(limits, jobs, bytes)
  if not limits.bytes or jobs == 0 then return end
  local mean = (limits.held * limits.mean + bytes) / (limits.held + jobs)
  redis.call('HSET', root .. 'queue:' .. limits.queue, 'mean_bytes', text_of(math.ceil(mean)))
end

-- The part of the reply that says how full the queue is: thousandths, which limit, what of it is used, the limit, and in
-- how many ms there will be room ('' = not asked, or not known).
local function describe(limits, share, which, ms)
  return math.floor(share), which, math.ceil(used_of(limits, 0, 0)[which]), limits[which], ms
end

-- How long a new job of this priority would wait, in ms; nil: not known.
local function wait_ms(limits, priority)
  local rate, ahead = drain_rate(limits), 0
  for _, lane in ipairs({ 'high', 'normal', 'low' }) do
    ahead = ahead + redis.call('XLEN', root .. 'ready:' .. limits.queue .. ':' .. lane)
    if lane == (LANES[priority] or 'normal') then break end
  end
  return rate and rate > 0 and math.ceil(ahead * 1e6 / rate) or nil
end
