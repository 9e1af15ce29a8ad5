-- A READY job of a queue that has seen a tenant gets its place: a ticket at once while hardly any wait and nobody waits
-- for a turn, else the end of its tenant's line. `join_turns` is called for each job, `joined_turns` once for all.
-- Should no worker be there to let in what waits, the scheduler looks so often: see `let_in_spare`.
local LOOK_AT_TURNS_MS = 2000

local entrances = {}
local function entrance(queue, priority)
  local stream = stream_of(queue, priority)
  local found = entrances[stream]
  if not found then
    local lane = LANES[priority] or 'normal'
    found = { queue = queue, lane = lane, stream = stream, came = 0, met = {} }
    found.turns, found.lines = turn_keys(queue, lane)
    found.clock = redis.pcall('ZSCORE', found.turns, '')
    local is_foreign = type(found.clock) == 'table'
    found.room = is_foreign and math.huge or found.clock and 0 or SPARE_TICKETS - (undelivered_count(stream) or 0)
    entrances[stream] = found
  end
  return found
end

-- The tenant's turn comes before the line: a line without a turn would never be looked at. Where a foreign hand has put
-- something else, the job gets a ticket: a script that fails half-way would leave its other jobs half written.
local function join_turns(queue, priority, tenant, id, now)
  local to = entrance(queue, priority)
  if to.room <= 0 and to.met[tenant] == nil then
    local kind = redis.call('TYPE', to.lines .. tenant).ok
    to.met[tenant] = kind == 'zset' or kind == 'none'
    to.is_new = to.met[tenant]
  end
  if to.room > 0 or not to.met[tenant] then
    to.room = to.room - 1
    add_ticket(to.stream, id)
    return
  end
  if to.is_new then
    to.is_new = false
    local time = virtual(tonumber(to.clock or 0) + 1 / weight_of(queue, tenant))
    redis.call('ZADD', to.turns, 'NX', to.clock or 0, '', time, tenant)
  end
  -- Those of one call stand in its order, within the millisecond: 1/2048 of one is what a number of this size still tells.
  redis.call('ZADD', to.lines .. tenant, virtual(now + to.came / 2048), id)
  to.came = to.came + 1
end

local function joined_turns(now)
  for _, to in pairs(entrances) do
    count_turns(to.queue, to.lane, to.came)
    local is_first = to.came > 0 and not to.clock
    local agenda = is_first and redis.call('TYPE', root .. 'agenda').ok
    if agenda == 'zset' or agenda == 'none' then set_due(to.queue, now + LOOK_AT_TURNS_MS) end
  end
end
