-- Turns: the jobs of a queue that has seen a tenant are let into a lane's ready stream by weighted fair queueing among
-- the tenants, as late as can be. What waits for its turn is READY: it stands in its tenant's line instead of the stream.
-- The rule is self-clocked fair queueing (S. J. Golestani, "A self-clocked fair queueing scheme for broadband
-- applications", INFOCOM 1994). A tenant's next job would be over at a virtual time, 1 / weight after its last one, or
-- after now if the tenant did not wait; the earliest is let in; and virtual time is that of the job let in last. While
-- two tenants both wait, what they get, each divided by its weight, differs by no more than the sum of 1 / weight of both.
-- Only those who wait are remembered. The time is worked out when a job comes to the head of its line, and not when it
-- joins: so neither a weight that is changed nor a job that is cancelled leaves a trace.

-- Tickets that wait in a stream while jobs wait for their turn: these are before any tenant that comes now, and they are
-- what wakes a worker whose read blocks. Two, so that one can be under way while the next is there.
local SPARE_TICKETS = 2

-- The key of a lane's turns, and what the keys of its lines begin with.
local function turn_keys(queue, lane)
  return root .. 'turns:' .. queue .. ':' .. lane, root .. 'tenant:' .. queue .. ':' .. lane .. ':'
end

local function count_turns(queue, lane, by) count(queue, 'turns_' .. lane, by) end

-- Virtual time must not lose its fraction: Redis prints numbers of Lua with fourteen digits.
local function virtual(time) return string.format('%.17g', time) end

local weights = {}
local function weight_of(queue, tenant)
  local name = queue .. ' ' .. tenant
  if not weights[name] then
    local set = redis.pcall('HGET', root .. 'tenants:' .. queue, tenant)
    local weight = type(set) == 'string' and tonumber(set)
    weights[name] = weight and weight > 0 and weight or 1
  end
  return weights[name]
end

-- The tickets that nobody was given; nil: the key holds no stream. The group's lag is unknown after some of Redis' own
-- repairs; then the tickets that are not settled are taken off.
local function undelivered_count(stream)
  local length = redis.pcall('XLEN', stream)
  if type(length) ~= 'number' then return nil end
  if length == 0 then return 0 end
  for _, words in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for i = 1, #words, 2 do group[words[i]] = words[i + 1] end
    if group.name == GROUP then return group.lag or length - group.pending end
  end
  return length
end
