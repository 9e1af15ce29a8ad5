-- A ticket is a stream entry that carries a job's id. XACK and XDEL go together: an acknowledged entry that stays
-- would be memory without an owner.
local GROUP = 'tidemill'

local function drop_tickets(stream, entries)
  if #entries == 0 then return end
  redis.call('XACK', stream, GROUP, unpack(entries))
  redis.call('XDEL', stream, unpack(entries))
end

local function issue_ticket(queue, priority, id)
  redis.call('XADD', root .. 'ready:' .. queue .. ':' .. (priority or 'normal'), '*', 'j', id)
end
