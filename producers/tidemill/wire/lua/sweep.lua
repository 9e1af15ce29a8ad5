#!lua flags=allow-oom
-- Retention: drops finished records whose time is over, and the oldest beyond the most that a queue keeps.
-- KEYS  1.. finished or dead letters of queues (zsets)
-- ARGV  1 now  2 age ms (finished: 0, their score is the time to drop them)  3 most kept  4 page size
-- returns the number dropped (a full page: there may be more)
-- include: arguments clock root record expect drop
local before, most, page = clock(ARGV[1]) - number(ARGV[2]), number(ARGV[3]), number(ARGV[4])
local dropped = 0
expect('zset', unpack(KEYS))
for _, key in ipairs(KEYS) do
  local left = page - dropped
  if left <= 0 then break end
  local ids = redis.call('ZRANGE', key, '-inf', before, 'BYSCORE', 'LIMIT', 0, left)
  local excess = redis.call('ZCARD', key) - most
  if #ids == 0 and excess > 0 then ids = redis.call('ZRANGE', key, 0, math.min(excess, left) - 1) end
  for _, id in ipairs(ids) do drop(id) end
  if #ids > 0 then redis.call('ZREM', key, unpack(ids)) end
  dropped = dropped + #ids
end
return dropped
