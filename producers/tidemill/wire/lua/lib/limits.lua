-- What limits a job, and how much of it is free. The field `li` of a record names its limits, each with what the job
-- takes of it: "r<digest>:<cost> c<digest>"; `r` is a rate, `c` a concurrency. What a limit allows stands in the hash
-- `limits`, by task and in the same order, as a worker declared it: "r<µs for one>:<burst>:<title> c<most>:<title>".
-- The limits of a queue are called `rq.<queue>` and `cq.<queue>`, and stand in its settings.
-- Rates: the generic cell rate algorithm (ITU-T I.371, annex A, as virtual scheduling). One time tells all of the past:
-- the theoretical arrival time of the next job. What it is ahead of the clock, the burst has been used up by; when all
-- is free again the key ends, soon after. Within any time t, no more than t times the rate and one burst get through.
-- Nothing of this is made for jobs without limits.
local ROUNDING = 1e-6
-- So much longer than it is needed a rate is kept: a limit in use then always has its key.
local KEPT_LONGER_MS = 10000

local function limits_of(now)
  local limits, declared = {}, {}

  local function parsed(word)
    local kind, first, rest = string.match(word, '^([rc])(%d+%.?%d*):(.*)$')
    if kind == 'c' then return { kind = kind, most = tonumber(first), title = 'concurrency of ' .. rest } end
    local burst, title = string.match(rest or '', '^(%d+):(.*)$')
    if not burst or tonumber(first) == 0 then return false end
    return { kind = kind, interval = tonumber(first), burst = tonumber(burst), title = 'rate of ' .. title }
  end

  local function of_queue(name)
    local queue = string.sub(name, 4)
    local field = string.sub(name, 1, 1) == 'r' and 'rate' or 'concurrency'
    local value = redis.pcall('HGET', root .. 'queue:' .. queue, field)
    return type(value) == 'string' and parsed(string.sub(name, 1, 1) .. value .. ':' .. queue)
  end

  local function of_task(task, position)
    if not declared[task] then
      local found, words = redis.pcall('HGET', root .. 'limits', task), {}
      if type(found) == 'string' then
        for word in string.gmatch(found, '[^ ]+') do words[#words + 1] = parsed(word) end
      end
      declared[task] = words
    end
    return declared[task][position]
  end

  -- Calls `each(name, cost, position)` for every limit that is named.
  function limits.each(li, each)
    local position = 0
    for name, cost in string.gmatch(li, '([rc][^ :]+):?(%d*)') do
      position = position + 1
      each(name, tonumber(cost) or 1, position)
    end
  end

  -- What a limit of a job allows; nil: nobody has declared it, so it does not hold anything back.
  function limits.find(task, position, name)
    local limit = string.sub(name, 2, 3) == 'q.' and of_queue(name) or of_task(task, position)
    return limit and limit.kind == string.sub(name, 1, 1) and limit or nil
  end

  -- What is free now: of a burst, or permits; nil: a foreign hand has made its key unreadable.
  function limits.free(name, limit)
    if limit.kind == 'c' then
      local used = redis.pcall('ZCARD', root .. 'permits:' .. name)
      return type(used) == 'number' and limit.most - used or nil
    end
    local found = redis.pcall('GET', root .. 'limit:' .. name)
    if type(found) == 'table' then return nil end
    local ahead = math.max((tonumber(found) or 0) - now * 1000, 0)
    -- More than one burst is never used up: the clock was set back, or the limit was changed.
    if ahead > (limit.burst + 1) * limit.interval then ahead = 0 end
    return math.max(limit.burst - ahead / limit.interval, 0)
  end

  -- Of a rate, with so much of its burst left free.
  function limits.note_free(name, limit, free)
    local ahead = (limit.burst - free) * limit.interval
    local time, ttl = string.format('%.3f', now * 1000 + ahead), text_of(math.ceil(ahead / 1000) + KEPT_LONGER_MS)
    redis.call('SET', root .. 'limit:' .. name, time, 'PX', ttl)
  end

  return limits
end
