#!lua flags=allow-oom
-- A worker that knows a task has come: the jobs that were parked for it become due now, a page at a time.
-- KEYS  1 parked jobs of the task
-- ARGV  1 now  2 page size
-- returns the number of ids looked at; fewer than a page: that was all
-- include: arguments clock root record expect alarm
local now = clock(ARGV[1])
local ids = redis.call('ZRANGE', KEYS[1], 0, number(ARGV[2]) - 1)
local parked, queues = {}, {}
for _, id in ipairs(ids) do
  local state, queue, reason = unpack(read(id, 'q', 'y'))
  if state == 'scheduled' and queue and reason then
    parked[#parked + 1] = { id, queue }
    queues[queue] = true
  end
end
for queue in pairs(queues) do expect('zset', root .. 'wheel:' .. queue) end
for queue in pairs(queues) do set_due(queue, now) end
for _, one in ipairs(parked) do
  local id, queue = unpack(one)
  redis.call('ZADD', root .. 'wheel:' .. queue, now, id)
  redis.call('HSET', root .. 'job:' .. id, 'd', now)
end
if #ids > 0 then redis.call('ZREM', KEYS[1], unpack(ids)) end
return #ids
