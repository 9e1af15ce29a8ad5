-- -> CANCELLED | EXPIRED from any state: the record keeps what describes the job, not its arguments.
-- `life` = the record's fields u, w, n, z (LIFE, in this order); `kept` = {default result ttl ms, most kept}.
local LIFE = { 'u', 'w', 'n', 'z' }

local function finish(state, queue, id, now, life, kept)
  local key = root .. 'job:' .. id
  local parked = redis.call('HMGET', key, 'y', 't')
  if parked[1] and parked[2] then redis.call('ZREM', root .. 'parked:' .. parked[2], id) end
  redis.call('HSET', key, 's', state, 'f', now)
  redis.call('HDEL', key, 'b', 'b1', 'b2', 'b3', 'o', 'm', 'y')
  redis.call('HINCRBY', root .. 'queue:' .. queue, state, 1)
  over(id, life[1], life[2], life[3])
  retain(queue, id, now, tonumber(life[4] or kept[1]) or 0, life[2], tonumber(kept[2]))
end
