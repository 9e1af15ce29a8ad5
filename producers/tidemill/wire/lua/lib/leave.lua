-- Leaving the limits of a job: its lines and its permits. See let_in.lua.
local function line_length(name)
  local found = redis.pcall('ZCARD', root .. 'line:' .. name)
  return type(found) == 'number' and found or 0
end

-- What is told to the agenda comes behind what a script writes: a key of a foreign type must not stop that.
local function has_agenda()
  local kind = redis.call('TYPE', root .. 'agenda').ok
  return kind == 'zset' or kind == 'none'
end

-- For scripts that do not let in others themselves.
local function wake_line(name)
  if line_length(name) > 0 and has_agenda() then set_due('line:' .. name, 0) end
end

-- A job is over, or runs no more: it waits for no limit, and holds no permit.
local function leave_limits(id, li)
  for name in string.gmatch(li, '([rc][^ :]+)') do
    for _, place in ipairs({ 'line:', 'called:', 'permits:' }) do redis.pcall('ZREM', root .. place .. name, id) end
    wake_line(name)
  end
end
