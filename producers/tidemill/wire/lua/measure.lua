#!lua flags=allow-oom,no-writes
-- The figures of one queue: read-only.
-- KEYS  1 queue settings and counters (hash)  2 wheel  3 dead letters  4 finished  5.. ready streams high, normal, low
-- ARGV  none
-- returns {settings and counters as pairs, wheel, dead, finished, running, oldest ready ms ('' = none), ready high,
--          ready normal, ready low}
-- include: ticket undelivered
local running, oldest, ready = 0, nil, {}

for index = 5, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[index], GROUP)
  local taken = not pending.err and pending[1] or 0
  running = running + taken
  ready[#ready + 1] = math.max(0, redis.call('XLEN', KEYS[index]) - taken)
  local since = waiting_since(KEYS[index])
  if since and (not oldest or since < oldest) then oldest = since end
end
return {
  redis.call('HGETALL', KEYS[1]), redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3]),
  redis.call('ZCARD', KEYS[4]), running, oldest or '', unpack(ready),
}
