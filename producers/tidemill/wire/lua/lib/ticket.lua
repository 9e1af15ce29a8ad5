-- A ticket is a stream entry that carries a job's id. XACK and XDEL go together: an acknowledged entry that stays
-- would be memory without an owner.
local GROUP = 'tidemill'
local LANES = { high = 'high', normal = 'normal', low = 'low' }

local function drop_tickets(stream, entries)
  if #entries == 0 then return end
  redis.pcall('XACK', stream, GROUP, unpack(entries))
  redis.pcall('XDEL', stream, unpack(entries))
end

-- A priority that a foreign hand wrote must not name a stream that nobody reads.
local function stream_of(queue, priority) return root .. 'ready:' .. queue .. ':' .. (LANES[priority] or 'normal') end

local function add_ticket(stream, id) redis.call('XADD', stream, '*', 'j', id) end

local function issue_ticket(queue, priority, id) add_ticket(stream_of(queue, priority), id) end
