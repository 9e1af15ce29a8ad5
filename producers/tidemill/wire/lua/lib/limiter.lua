-- May a job start now, by each of its limits? take.lua asks it of a batch: of each limit the state is read once and
-- written once. All or nothing: a job that one of them refuses takes of none, and waits in that one's line.
-- Who was let in, or waited before (`i`), may start while others stand in line. Who comes new goes behind these, and
-- takes nothing of what those need who were let in and whose tickets stand behind his.
local function limiter_of(now)
  local limiter, limits, text = { refused = 0 }, limits_of(now), text_of(now)
  local states, order, waiting, plans = {}, {}, {}, {}

  local function state_of(task, position, name)
    if states[name] == nil then
      local limit = limits.find(task, position, name)
      local length = limit and redis.pcall('ZCARD', root .. 'line:' .. name)
      local free = type(length) == 'number' and limits.free(name, limit)
      states[name] = free and { name = name, limit = limit, free = free, length = length, called = {}, places = {} }
      if free then states[name].reserved = called_count(name, now) end
      if free then order[#order + 1] = states[name] end
    end
    return states[name]
  end

  -- The limits of such a job, with what it takes of each: made once for all that have the same.
  local function limits_named(task, li)
    local known = plans[task] or {}
    plans[task] = known
    if not known[li] then
      local plan = {}
      limits.each(li, function(name, cost, position)
        local state = state_of(task, position, name)
        if state then plan[#plan + 1] = { state = state, cost = state.limit.kind == 'c' and 1 or cost } end
      end)
      known[li] = plan
    end
    return known[li]
  end

  local function refuses(state, cost, waited)
    if waited then return state.free + ROUNDING < cost end
    return state.length > 0 or state.free - state.reserved * cost + ROUNDING < cost
  end

  -- Nil: it may start, and has taken of its limits. Else the state of the first that refuses it.
  local function ask(id, record)
    local plan, refusing = limits_named(record.t or '', record.li), nil
    for _, one in ipairs(plan) do
      local state = one.state
      if record.i then
        state.called[#state.called + 1], state.reserved = id, math.max(state.reserved - 1, 0)
      end
      if not refusing and refuses(state, one.cost, record.i) then refusing = state end
    end
    if refusing then return refusing end
    for _, one in ipairs(plan) do
      local state = one.state
      state.free, state.used = state.free - one.cost, true
      if state.limit.kind == 'c' then
        local last = #state.places
        state.places[last + 1], state.places[last + 2] = text, id
      end
    end
  end

  -- Whether it may start. One that may not is SCHEDULED with `settle`, and its ticket is to be dropped after that.
  function limiter.lets_start(queue, entry, id, record)
    local refusing = ask(id, record)
    if not refusing then return true end
    local ms, number = string.match(entry, '^(%d+)-(%d+)$')
    local turn = whole(record.i) and record.i or text_of(ms * 1000 + math.min(number, 999))
    refusing.length, limiter.refused = refusing.length + 1, limiter.refused + 1
    local why = 'it waits for its turn: ' .. refusing.limit.title
    waiting[queue] = waiting[queue] or {}
    table.insert(waiting[queue], { id = id, line = refusing.name, turn = turn, why = why })
    return false
  end

  -- The places of all come before their records: should one be of a foreign type, no job is lost.
  local function put_in_line(queue, rows)
    local wheel, lines, ids = {}, {}, {}
    for index, row in ipairs(rows) do
      local line = lines[row.line] or {}
      lines[row.line] = line
      line[#line + 1], line[#line + 2] = row.turn, row.id
      wheel[2 * index - 1], wheel[2 * index], ids[index] = NEVER, row.id, row.id
    end
    redis.call('ZADD', root .. 'wheel:' .. queue, unpack(wheel))
    for name, places in pairs(lines) do redis.call('ZADD', root .. 'line:' .. name, unpack(places)) end
    set_due(queue, NEVER)
    for _, row in ipairs(rows) do
      redis.call('HSET', root .. 'job:' .. row.id, 's', 'scheduled', 'y', row.why, 'i', row.turn)
    end
    count(queue, 'limited', #ids)
    event('limit', ids)
  end

  -- Writes what was taken, and lets others in. Returns how many were let in, and how many wait since the last call.
  function limiter.settle()
    local called, waits = 0, 0
    for _, state in ipairs(order) do
      if #state.called > 0 then redis.pcall('ZREM', root .. 'called:' .. state.name, unpack(state.called)) end
      if state.used and state.limit.kind == 'r' then limits.note_free(state.name, state.limit, state.free) end
      if #state.places > 0 then redis.call('ZADD', root .. 'permits:' .. state.name, unpack(state.places)) end
    end
    for queue, rows in pairs(waiting) do
      put_in_line(queue, rows)
      waits = waits + #rows
    end
    for _, state in ipairs(order) do
      if state.length > 0 then called = called + let_in(limits, state.name, now) end
    end
    states, order, waiting, plans = {}, {}, {}, {}
    return called, waits
  end

  return limiter
end
