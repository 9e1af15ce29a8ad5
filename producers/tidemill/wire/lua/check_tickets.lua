#!lua flags=allow-oom
-- Goes through a ready stream, a page at a time: which jobs have a ticket that a worker will be given, or holds? Finds
-- tickets that lead nowhere, and puts them right when told to.
-- A ticket that waits is never wrong: take.lua drops the one of a job that is over or gone. One that was delivered to a
-- worker is wrong when that worker has gone on reading since: by then it would have taken or dropped it.
-- KEYS  1 workers  2 ready stream
-- ARGV  1 1: repair  2 entry to go on behind ('' = from the first)  3 page size  4 how long ago a worker must have had
--       the ticket when it read again, ms
-- returns {entry to go on behind ('' = that was all), tickets: job, holder ('' = it waits), findings}
-- include: arguments root record ticket finding
local repair, page, stream = ARGV[1] == '1', number(ARGV[3]), KEYS[2]
local queue = string.match(stream, ':ready:([^:]+):%l+$')
local moved_on_ms = number(ARGV[4])
local after = ARGV[2] ~= '' and '(' .. ARGV[2] or '-'
local tickets, acked, moved = {}, {}, {}

local function is_before(one, other)
  local ms, number = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_number = string.match(other, '^(%d+)-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(number) < tonumber(other_number)
end

-- The fields of the one that is named so; nil: there is none.
local function named(name, ...)
  local listed = redis.pcall('XINFO', ...)
  for _, words in ipairs(listed.err and {} or listed) do
    local fields = {}
    for i = 1, #words, 2 do fields[words[i]] = words[i + 1] end
    if fields.name == name then return fields end
  end
end

local entries = redis.pcall('XRANGE', stream, after, '+', 'COUNT', page)
if entries.err then return { '', {}, {} } end
local upto = #entries == page and entries[#entries][1] or '+'
local listed = redis.pcall('XPENDING', stream, GROUP, after, upto, 2 * page)
if listed.err then listed = {} end
-- Entries that are gone may fill the list of pending ones: then the page ends there.
if #listed == 2 * page then upto = listed[#listed][1] end
local pending = {}
for _, one in ipairs(listed) do pending[one[1]] = { holder = one[2], idle = one[3] } end

local group = named(GROUP, 'GROUPS', stream)
local function is_delivered(entry) return group and not is_before(group['last-delivered-id'], entry) end

local leases, idle = {}, {}
local function has_lease(incarnation)
  if leases[incarnation] == nil then leases[incarnation] = redis.pcall('ZSCORE', KEYS[1], incarnation) end
  return leases[incarnation]
end

local function has_read_since(holder, ticket_idle)
  if idle[holder] == nil then
    local consumer = named(holder, 'CONSUMERS', stream, GROUP)
    idle[holder] = consumer and consumer.idle or math.huge
  end
  return ticket_idle - idle[holder] >= moved_on_ms
end

local function add(id, holder)
  tickets[#tickets + 1] = id
  tickets[#tickets + 1] = holder
end

local function drop_later(entry) if repair then acked[#acked + 1] = entry end end

-- In another queue than its own stands the ticket of an earlier job of the same id.
local function read_job(id)
  local record = examine(id, 'l', 'q')
  return (record[3] or queue) == queue and record or {}
end

local function check_held(entry, id, held)
  local record = read_job(id)
  local is_its_own = record[1] == 'running' and record[2] == held.holder
  if is_its_own or not has_lease(held.holder) or not has_read_since(held.holder, held.idle) then
    add(id, held.holder)
  elseif record[1] == 'ready' or record.corrupt then
    report('ticket_not_taken', id, held.holder, repair)
    add(id, held.holder)
    if repair then moved[#moved + 1] = id end
    drop_later(entry)
  else
    report('ticket_without_job', id, held.holder, repair)
    drop_later(entry)
  end
end

-- It is delivered, yet nobody has it: no read will ever return it.
local function check_stranded(entry, id)
  local record = read_job(id)
  report('ticket_of_nobody', id, '', repair)
  if repair and record[1] == 'running' and record[2] and has_lease(record[2]) then
    redis.call('XCLAIM', stream, GROUP, record[2], 0, entry, 'FORCE', 'JUSTID')
    add(id, record[2])
  else
    drop_later(entry)
  end
end

for _, one in ipairs(entries) do
  local entry, id = one[1], one[2][2]
  if upto ~= '+' and is_before(upto, entry) then break end
  if pending[entry] then
    check_held(entry, id, pending[entry])
  elseif is_delivered(entry) then
    check_stranded(entry, id)
  else
    add(id, '')
  end
  pending[entry] = nil
end
for entry, held in pairs(pending) do
  report('pending_without_ticket', entry, held.holder, repair)
  drop_later(entry)
end
for _, id in ipairs(moved) do redis.call('XADD', stream, '*', 'j', id) end
drop_tickets(stream, acked)
return { upto == '+' and '' or upto, tickets, findings }
