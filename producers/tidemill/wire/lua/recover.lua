#!lua flags=allow-oom
-- RUNNING -> READY | DEAD | CANCELLED for a page of the jobs of a worker whose lease is over, on one queue.
-- A job that ran when its worker died has its crash count raised; past the limit it is buried as `worker_lost`.
-- A job that was delivered but not started is handed on without blame.
-- KEYS  1 workers  then the queue's ready streams high, normal, low
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  6 page size  7 most crashes  8 error of the burial
-- returns {-1} while the lease lives;  {number of tickets moved, ids made ready, ids buried}
-- include: clock root ticket over retain finish bury event
local now, incarnation, queue = clock(ARGV[1]), ARGV[2], ARGV[3]
local expiry = redis.call('ZSCORE', KEYS[1], incarnation)
if expiry and tonumber(expiry) > now then return { -1 } end
local page, moved = tonumber(ARGV[6]), 0
local recovered, buried, cancelled = {}, {}, {}

local function move(stream, id)
  local key = root .. 'job:' .. id
  local record = redis.pcall('HMGET', key, 's', 'l', 'x', 'k', 'u', 'w', 'n', 'z')
  if record.err then return end
  if record[1] == 'ready' then
    redis.call('XADD', stream, '*', 'j', id)
  elseif record[1] == 'running' and record[2] == incarnation then
    local crashes = (tonumber(record[4]) or 0) + 1
    local life = { unpack(record, 5, 8) }
    redis.call('HSET', key, 'k', crashes)
    redis.call('HDEL', key, 'm')
    if record[3] then
      finish('cancelled', queue, id, now, life, { ARGV[4], ARGV[5] })
      cancelled[#cancelled + 1] = id
    elseif crashes > tonumber(ARGV[7]) then
      bury(queue, id, now, ARGV[8], unpack(life, 1, 3))
      buried[#buried + 1] = id
    else
      redis.call('XADD', stream, '*', 'j', id)
      redis.call('HSET', key, 's', 'ready')
      redis.call('HINCRBY', key, 'v', 1)
      if record[7] then redis.call('ZADD', root .. 'expiring', record[7], id) end
      recovered[#recovered + 1] = id
    end
  end
end

for index = 2, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[index], GROUP, '-', '+', page - moved, incarnation)
  if page - moved > 0 and not pending.err then
    local entries = {}
    for i, ticket in ipairs(pending) do
      entries[i] = ticket[1]
      local found = redis.call('XRANGE', KEYS[index], ticket[1], ticket[1])
      if found[1] then move(KEYS[index], found[1][2][2]) end
    end
    drop_tickets(KEYS[index], entries)
    moved = moved + #entries
  end
end
if #recovered > 0 then redis.call('HINCRBY', root .. 'queue:' .. queue, 'recovered', #recovered) end
event('recover', recovered)
event('bury', buried)
event('cancel', cancelled)
return { moved, recovered, buried }
