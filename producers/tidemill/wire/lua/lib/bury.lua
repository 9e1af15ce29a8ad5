-- -> DEAD, shared by bury.lua, recover.lua and take.lua. The arguments stay in the record, so that it can be run again
-- by hand. `life` = the record's fields u, w, n, in this order.
local function bury(queue, id, now, error, life)
  local key = root .. 'job:' .. id
  redis.call('ZADD', root .. 'dead:' .. queue, now, id)
  redis.call('HSET', key, 's', 'dead', 'f', now, 'e', error)
  redis.call('HDEL', key, 'm', 'i')
  count(queue, 'dead', 1)
  over(id, life[1], life[2], life[3])
end
