#!lua flags=allow-oom
-- A worker that knows a task has come: the jobs that were parked for it become due now, a page at a time.
-- KEYS  1 parked jobs of the task
-- ARGV  1 now  2 page size
-- returns the number of ids looked at; fewer than a page: that was all
-- include: clock root alarm
local now = clock(ARGV[1])
local ids = redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[2]) - 1)
for _, id in ipairs(ids) do
  local record = redis.call('HMGET', root .. 'job:' .. id, 's', 'q', 'y')
  if record[1] == 'scheduled' and record[3] then
    redis.call('ZADD', root .. 'wheel:' .. record[2], 'XX', now, id)
    redis.call('HSET', root .. 'job:' .. id, 'd', now)
    set_due(record[2], now)
  end
end
if #ids > 0 then redis.call('ZREM', KEYS[1], unpack(ids)) end
return #ids
