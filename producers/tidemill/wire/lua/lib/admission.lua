-- Admission: how full a queue is against its limits, and how soon there will be room. Of a queue without limits nothing
-- of this is made. (The limit by age: age.lua.)
-- Held are the jobs of the wheel and of the streams, those that run included. What they hold in bytes is estimated: each
-- call that gets in mixes the sizes of its arguments into their mean, in proportion to what is held.

-- In thousandths of a limit: from PRESSURE on callers are told, above ALL nothing gets in, and up to MOST_DEFERRED a
-- queue takes jobs that can wait until there is room; for so long while that is not known.
local PRESSURE, ALL, MOST_DEFERRED, DEFER_MS = 850, 1000, 2000, 1000

-- `settings`: known, durability, limit, limit_bytes, mean_bytes, limit_age_ms, oldest, and how many wait for their turns in
-- each lane; nil: no limit is set.
local function admission_of(queue, settings, now)
  local limits = { jobs = whole(settings[3]), bytes = whole(settings[4]), age = whole(settings[6]) }
  if not (limits.jobs or limits.bytes or limits.age) then return nil end
  local mean, age = whole(settings[5], 0), limits.age and age_seen(settings[7], now) or 0
  local key, admission = root .. 'queue:' .. queue, {}
  local held = redis.call('ZCARD', root .. 'wheel:' .. queue)
  for lane in pairs(LANES) do held = held + redis.call('XLEN', root .. 'ready:' .. queue .. ':' .. lane) end
  for i = 8, 10 do held = held + whole(settings[i], 0) end

  local function used(jobs, bytes) return { jobs = held + jobs, bytes = held * mean + bytes, age = age } end

  local function nearest(usage)
    local most, which = -1, nil
    for name, found in pairs(usage) do
      local limit = limits[name]
      local share = limit and (limit > 0 and found * 1000 / limit or ALL + 1)
      if share and share > most then most, which = share, name end
    end
    return most, which
  end

  -- With so many jobs of so many bytes more: thousandths of the limit that is nearest, and which one it is.
  function admission.fullness(jobs, bytes) return nearest(used(jobs, bytes)) end

  -- How many jobs have to go until no limit is passed, and which is nearest.
  function admission.excess()
    local share, which = admission.fullness(0, 0)
    if share <= ALL then return 0, which end
    return which == 'age' and held or math.ceil(held * (1 - ALL / share)), which
  end

  -- Jobs of a million that end in a second; nil: not known yet. The rate is taken over a second, or over ten jobs if
  -- they take longer; and believed for a minute.
  local function drain_rate()
    local seen = redis.call(
      'HMGET', key, 'drained', 'drained_ms', 'drain_rate', 'succeeded', 'dead', 'cancelled', 'expired'
    )
    local ended, since = 0, now - whole(seen[2], 0)
    for i = 4, 7 do ended = ended + whole(seen[i], 0) end
    local known, passed = whole(seen[3]), ended - whole(seen[1], ended)
    if since > 60000 or since < 0 or passed < 0 then
      redis.call('HSET', key, 'drained', ended, 'drained_ms', now)
      -- Not deleted: who enqueues has no right to delete settings of a queue.
      if known then redis.call('HSET', key, 'drain_rate', '') end
      return nil
    end
    local rate = since > 0 and math.floor(passed * 1e6 / since)
    if since < 1000 or passed < 10 then return known or passed >= 10 and rate or nil end
    redis.call('HSET', key, 'drained', ended, 'drained_ms', now, 'drain_rate', text_of(rate))
    return rate
  end

  -- Of the jobs held, with these: how many have to go until no more than `share` is used.
  local function surplus(share, jobs, bytes)
    local usage = used(jobs, bytes)
    usage.age = nil -- is no matter of how many
    return (held + jobs) * math.max(0, 1 - share / math.max(nearest(usage), 1))
  end

  -- In how many ms the queue is below PRESSURE again, with the jobs that got in, and has room for those that did not, if
  -- nothing else comes; '': not known.
  function admission.ms_until_room(jobs, bytes, refused, refused_bytes)
    local rate = drain_rate()
    if not rate or rate == 0 then return '' end
    local first, then_all = surplus(PRESSURE, jobs, bytes), surplus(ALL, jobs + refused, bytes + refused_bytes)
    local ageing = limits.age and ms_until_young(age, limits.age * PRESSURE / ALL, held * 1e6 / rate) or 0
    return math.ceil(math.max(math.max(first, then_all, 1) * 1e6 / rate, ageing))
  end

  -- How long a new job of this priority would wait, in ms; nil: not known.
  function admission.wait_ms(priority)
    local rate, ahead = drain_rate(), 0
    for _, lane in ipairs({ 'high', 'normal', 'low' }) do
      ahead = ahead + redis.call('XLEN', root .. 'ready:' .. queue .. ':' .. lane)
      if lane == (LANES[priority] or 'normal') then break end
    end
    return rate and rate > 0 and math.ceil(ahead * 1e6 / rate) or nil
  end

  -- The part of the reply that says how full the queue is: thousandths, which limit, what of it is used, the limit, and
  -- in how many ms there will be room ('' = not asked, or not known).
  function admission.describe(share, which, ms)
    return math.floor(share), which, math.ceil(used(0, 0)[which]), limits[which], ms
  end

  function admission.note_sizes(jobs, bytes)
    if not limits.bytes or jobs == 0 then return end
    redis.call('HSET', key, 'mean_bytes', text_of(math.ceil((held * mean + bytes) / (held + jobs))))
  end

  return admission
end
