#!lua flags=allow-oom
-- A breaker is closed: the jobs that it has parked become due, the first ones now, one behind the other at a rate. The
-- breaker remembers when the next one may be due, so the rate holds for the whole fleet, whoever asks and how often.
-- KEYS  1 breaker (hash)  2 breakers  3 parked jobs of a task
-- ARGV  1 now  2 name of the breaker  3 page size  4 ms between two jobs, in thousandths
-- returns the number of ids looked at; fewer than a page: that was all; 0 as well while the breaker is not closed
-- include: arguments clock root record expect alarm breaker
local now, name, page, step_ms = clock(ARGV[1]), ARGV[2], number(ARGV[3]), number(ARGV[4]) / 1000
expect_breaker(name)
if read_breaker(KEYS[1]).state ~= 'closed' then return 0 end
local ids = redis.call('ZRANGE', KEYS[3], 0, page - 1)
if #ids == 0 then return 0 end
local slot = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'ready_at') or '') or 0)
local moved, soonest = {}, {}
for _, id in ipairs(ids) do
  local state, queue, reason, due = unpack(read(id, 'q', 'y', 'd'))
  if state == 'scheduled' and queue and reason and whole(due, 0) > slot then
    local at = math.ceil(slot)
    moved[#moved + 1] = { id, queue, at }
    soonest[queue] = soonest[queue] or at
    slot = slot + step_ms
  end
end
for queue in pairs(soonest) do expect('zset', root .. 'wheel:' .. queue) end
expect('zset', root .. 'agenda')
for queue, at in pairs(soonest) do set_due(queue, at) end
for _, one in ipairs(moved) do
  local id, queue, at = unpack(one)
  redis.call('ZADD', root .. 'wheel:' .. queue, at, id)
  redis.call('HSET', root .. 'job:' .. id, 'd', at)
end
if #moved > 0 then
  redis.call('HSET', KEYS[1], 'ready_at', string.format('%.3f', slot))
  keep_breaker(BREAKER_KEPT_MS)
end
redis.call('ZREM', KEYS[3], unpack(ids))
return #ids
