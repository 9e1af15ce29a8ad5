-- The lines in which jobs wait for a limit. Who waits is SCHEDULED, in the wheel at a time that never comes, and in the
-- line of the first limit that refused it, by its first arrival there (`i`). As many are let in as may start just now:
-- they become READY and are among the `called` until a worker takes them, where take.lua decides. So a line of any
-- length costs nothing but for those at its head.
-- The agenda has a line, as "line:<limit>", for as long as somebody stands in it: admit.lua comes then.

-- Who was called and is not taken within this time (its queue is paused, its workers are busy) does not keep others.
local CALLED_MS = 1000
-- A line for permits moves when one is given back. Should nobody have told it, it is looked at after this time.
local SAFETY_MS = 60000
-- Let in by one call: about a third of a millisecond.
local MOST_LET_IN = 50

-- How many were let in a moment ago, and are not yet taken.
local function called_count(name, now)
  local found = redis.pcall('ZCOUNT', root .. 'called:' .. name, now - CALLED_MS, '+inf')
  return type(found) == 'number' and found or 0
end

-- How many of a line may be let in now, and when to look again. A script that keeps its own account has it written
-- before it comes here.
local function openings(limits, name, first, now)
  local task, li = unpack(read(first, 't', 'li'), 2, 3)
  local limit, cost = nil, 1
  limits.each(li or '', function(found, taken, position)
    if found == name then limit, cost = limits.find(task or '', position, name), taken end
  end)
  local free = limit and limits.free(name, limit)
  if not free then return MOST_LET_IN, now + CALLED_MS end
  local called = called_count(name, now)
  if limit.kind == 'c' then
    local count = math.min(math.max(free - called, 0), MOST_LET_IN)
    return count, now + (called + count > 0 and CALLED_MS or SAFETY_MS)
  end
  local count = math.min(math.max(math.floor((free + ROUNDING) / cost) - called, 0), MOST_LET_IN)
  -- Half of a burst at a time: fewer looks, and time enough to start them before more would be lost.
  local needed = (called + count) * cost + math.max(cost, math.floor(limit.burst / 2))
  if needed > limit.burst then return count, now + CALLED_MS end -- or as soon as they are taken: see limiter.lua
  return count, now + math.max(math.ceil((needed - free) * limit.interval / 1000), 1)
end

-- Lets in those at the head of a line that may start. Returns how many, and when to look again, which the agenda has
-- by then (nil: nobody waits). `exactly`: it may be put off as well.
local function let_in(limits, name, now, exactly)
  local line, entry = root .. 'line:' .. name, 'line:' .. name
  local first = redis.pcall('ZRANGE', line, 0, 0)
  if first.err or not has_agenda() then return 0, nil end
  if not first[1] then
    if exactly then redis.call('ZREM', root .. 'agenda', entry) end
    return 0, nil
  end
  local count, due = openings(limits, name, first[1], now)
  local places, queues, gone = {}, {}, count > 0 and redis.call('ZRANGE', line, 0, count - 1) or {}
  for _, id in ipairs(gone) do
    local record = examine(id, 'q', 'p')
    local queue = record[2]
    local kind = queue and redis.call('TYPE', stream_of(queue, record[3])).ok
    if record[1] == 'scheduled' and (kind == 'stream' or kind == 'none') then
      issue_ticket(queue, record[3], id)
      redis.call('HSET', root .. 'job:' .. id, 's', 'ready', 'd', text_of(now))
      redis.call('HDEL', root .. 'job:' .. id, 'y')
      redis.pcall('ZREM', root .. 'wheel:' .. queue, id)
      places[#places + 1] = text_of(now)
      places[#places + 1] = id
      queues[queue] = true
    end
  end
  if #places > 0 then redis.pcall('ZADD', root .. 'called:' .. name, unpack(places)) end
  if #gone > 0 then redis.call('ZREM', line, unpack(gone)) end
  for queue in pairs(queues) do
    if redis.pcall('ZCARD', root .. 'wheel:' .. queue) == 0 then redis.call('ZREM', root .. 'agenda', queue) end
  end
  if line_length(name) == 0 then
    redis.call('ZREM', root .. 'agenda', entry)
    return #places / 2, nil
  elseif exactly then
    redis.call('ZADD', root .. 'agenda', text_of(due), entry)
  else
    set_due(entry, due)
  end
  return #places / 2, due
end
