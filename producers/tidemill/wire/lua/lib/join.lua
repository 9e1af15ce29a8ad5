-- A job goes to the end of a limit's line, or to where it was before: see let_in.lua. The place comes before the record:
-- should one of them be of a foreign type, the job is not lost.
local NEVER = '4000000000000' -- in the year 2096

-- A turn behind all who stand in line. A ticket's is its time as well: ms·1000 and its number within the ms.
local function last_turn(name, now)
  local last = redis.call('ZRANGE', root .. 'line:' .. name, -1, -1, 'WITHSCORES')
  return math.max(now * 1000 + 999, (tonumber(last[2]) or 0) + 1)
end

local function join_line(queue, id, name, turn, why)
  redis.call('ZADD', root .. 'wheel:' .. queue, NEVER, id)
  redis.call('ZADD', root .. 'line:' .. name, turn, id)
  redis.call('HSET', root .. 'job:' .. id, 's', 'scheduled', 'y', why, 'i', turn)
  set_due(queue, NEVER)
end
