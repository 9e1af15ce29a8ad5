#!lua flags=allow-oom
-- RUNNING -> READY | DEAD | CANCELLED for a page of the jobs of a worker whose lease is over, on one queue.
-- A job that ran when its worker died has its crash count raised; past the limit it is buried as `worker_lost`.
-- A job that was delivered but not started, or waited to run alone, is handed on without blame.
-- KEYS  1 workers  then the queue's ready streams high, normal, low
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  6 page size  7 most crashes  8 error of the burial
--       9 end of the lease that was judged ('' = any): one that was renewed since then, and looks over because the clock
--       has jumped, is not
-- returns {-1} while the lease lives;  {number of tickets moved, ids made ready, ids buried}
-- include: arguments clock root stream record expect ticket alarm expiry count drop over retain leave finish bury event limits let_in permits
local now, incarnation, queue = clock(ARGV[1]), ARGV[2], ARGV[3]
local kept = { ttl = number(ARGV[4]), most = number(ARGV[5]) }
expect_rows(10, 1)
for index = 2, #KEYS do expect_stream(KEYS[index], queue) end
local expiry = redis.call('ZSCORE', KEYS[1], incarnation)
if expiry and (tonumber(expiry) > now or ARGV[9] ~= '' and tonumber(expiry) ~= number(ARGV[9])) then return { -1 } end
expect('zset', root .. 'done:' .. queue, root .. 'dead:' .. queue, root .. 'expiring')
local page, most_crashes, moved = number(ARGV[6]), number(ARGV[7]), 0
local recovered, buried, cancelled, held = {}, {}, {}, nil

local function recover(stream, id, record)
  local key, life = root .. 'job:' .. id, { unpack(record, 5, 8) }
  local crashes = whole(record[4], 0) + (record[10] and 0 or 1)
  held = note_permits(held, id, record[12])
  if record[3] then
    finish('cancelled', queue, id, now, life, kept)
    cancelled[#cancelled + 1] = id
  elseif crashes > most_crashes then
    redis.call('HSET', key, 'k', crashes)
    bury(queue, id, now, ARGV[8], life)
    buried[#buried + 1] = id
  else
    redis.call('XADD', stream, '*', 'j', id)
    redis.call('HSET', key, 's', 'ready', 'k', crashes, 'v', whole(record[9], 0) + 1)
    redis.call('HDEL', key, 'm', 'h')
    expire_again(id, record[7])
    recovered[#recovered + 1] = id
  end
end

local function move(stream, id)
  local record = examine(id, 'l', 'x', 'k', 'u', 'w', 'n', 'z', 'v', 'h', 'q', 'li')
  if (record[11] or queue) ~= queue then return end -- a later job of the same id, which has a ticket of its own
  if record[1] == 'running' and record[2] == incarnation then
    recover(stream, id, record)
  elseif record[1] == 'ready' or record[1] == 'running' or record.corrupt then
    -- What is corrupt is buried by take.lua, with the reason; what runs elsewhere, and was delivered again since its
    -- group was destroyed, goes back to its holder there.
    redis.call('XADD', stream, '*', 'j', id)
  end
end

for index = 2, #KEYS do
  local pending = page > moved and redis.pcall('XPENDING', KEYS[index], GROUP, '-', '+', page - moved, incarnation)
  local entries = {}
  if pending and not pending.err then
    for i, ticket in ipairs(pending) do
      entries[i] = ticket[1]
      local found = redis.call('XRANGE', KEYS[index], ticket[1], ticket[1])
      if found[1] then move(KEYS[index], found[1][2][2]) end
    end
  end
  drop_tickets(KEYS[index], entries)
  moved = moved + #entries
end
return_permits(held, now)
count(queue, 'recovered', #recovered)
event('recover', recovered)
event('bury', buried)
event('cancel', cancelled)
return { moved, recovered, buried }
