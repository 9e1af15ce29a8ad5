-- -> CANCELLED | EXPIRED from any state: the record keeps what describes the job, not its arguments.
-- `life` = the record's fields u, w, n, z, in this order; `kept` = retention: default ttl in ms, most records.
local function finish(state, queue, id, now, life, kept)
  local key = root .. 'job:' .. id
  local task, parked, li = unpack(redis.call('HMGET', key, 't', 'y', 'li'))
  if retain(queue, id, now, whole(life[4], kept.ttl), life[2]) then
    redis.call('HSET', key, 's', state, 'f', now)
    redis.call('HDEL', key, 'b', 'b1', 'b2', 'b3', 'o', 'm', 'y', 'h', 'i')
  else
    redis.call('DEL', key)
  end
  if task and parked then redis.pcall('ZREM', root .. 'parked:' .. task, id) end
  if li then leave_limits(id, li) end
  count(queue, state, 1)
  over(id, life[1], life[2], life[3])
  trim(queue, kept.most, 1)
end
