-- Retention of a finished record: by age (the janitor drops it at its time) and by count (the oldest goes at once).
-- A record that somebody waits for outlives its own ttl by this long, so that the result can be fetched.
local WAITED_FOR_TTL_MS = 60000

-- When the record is to be dropped; nil when it is not kept at all.
local function end_of_record(now, ttl, waiters)
  if waiters and ttl < WAITED_FOR_TTL_MS then ttl = WAITED_FOR_TTL_MS end
  if ttl > 0 then return now + ttl end
end

-- Whether the record is kept; the caller writes it, or deletes it.
local function retain(queue, id, now, ttl, waiters)
  local ends = end_of_record(now, ttl, waiters)
  if ends then redis.call('ZADD', root .. 'done:' .. queue, ends, id) end
  return ends ~= nil
end

-- A few more than came, so that the count comes down when its limit is lowered, and no call is ever long.
local function trim(queue, most, came)
  if came == 0 then return end
  local done = root .. 'done:' .. queue
  local excess = redis.call('ZCARD', done) - most
  if excess <= 0 then return end
  local dropped = redis.call('ZPOPMIN', done, math.min(excess, came + 4))
  for i = 1, #dropped, 2 do drop(dropped[i]) end
end
