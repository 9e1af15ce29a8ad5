#!lua flags=allow-oom,no-writes
-- The figures of one queue: read-only.
-- KEYS  1 queue settings and counters (hash)  2 wheel  3 dead letters  4 finished  5.. ready streams high, normal, low
-- ARGV  1 now
-- returns {settings and counters as pairs, wheel, dead, finished, running, oldest ready ms ('' = none), ready high,
--          ready normal, ready low}
-- include: clock ticket
local running, oldest, ready = 0, nil, {}
for index = 5, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[index], GROUP)
  local taken = not pending.err and pending[1] or 0
  running = running + taken
  ready[#ready + 1] = redis.call('XLEN', KEYS[index]) - taken
  local last = redis.pcall('XINFO', 'GROUPS', KEYS[index])
  local from = '-'
  if not last.err and last[1] then
    for i = 1, #last[1], 2 do
      if last[1][i] == 'last-delivered-id' then from = '(' .. last[1][i + 1] end
    end
  end
  local waiting = redis.call('XRANGE', KEYS[index], from, '+', 'COUNT', 1)
  if waiting[1] then
    local since = tonumber(string.match(waiting[1][1], '^%d+'))
    if not oldest or since < oldest then oldest = since end
  end
end
return {
  redis.call('HGETALL', KEYS[1]), redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3]),
  redis.call('ZCARD', KEYS[4]), running, oldest or '', unpack(ready),
}
