-- Retention of a finished record: by age (the janitor drops it at its time) and by count (the oldest goes at once).
-- A record that somebody waits for outlives its own ttl by this long, so that the result can be fetched.
local WAITED_FOR_TTL_MS = 60000

local function retain(queue, id, now, ttl, waiters, most)
  if waiters and ttl < WAITED_FOR_TTL_MS then ttl = WAITED_FOR_TTL_MS end
  if ttl <= 0 then
    redis.call('DEL', root .. 'job:' .. id)
    return
  end
  local done = root .. 'done:' .. queue
  redis.call('ZADD', done, now + ttl, id)
  local excess = redis.call('ZCARD', done) - most
  if excess > 0 then
    -- At most a few a call: the count comes down as jobs finish, and no call is ever long.
    local dropped = redis.call('ZPOPMIN', done, math.min(excess, 4))
    for i = 1, #dropped, 2 do redis.call('DEL', root .. 'job:' .. dropped[i]) end
  end
end
