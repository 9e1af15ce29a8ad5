-- -> DEAD, shared by bury.lua and recover.lua. The arguments stay in the record, so that it can be run again by hand.
local function bury(queue, id, now, error, unique, waiters, expires)
  local key = root .. 'job:' .. id
  redis.call('HSET', key, 's', 'dead', 'f', now, 'e', error)
  redis.call('ZADD', root .. 'dead:' .. queue, now, id)
  redis.call('HINCRBY', root .. 'queue:' .. queue, 'dead', 1)
  redis.call('HDEL', key, 'm')
  over(id, unique, waiters, expires)
end
