#!lua flags=allow-oom,no-writes
-- The figures of one queue: read-only.
-- KEYS  1 queue settings and counters (hash)  2 wheel  3 dead letters  4 finished  5.. ready streams high, normal, low
-- ARGV  none
-- returns {settings and counters as pairs, wheel, dead, finished, running, oldest ready ms ('' = none), ready high,
--          ready normal, ready low}
-- include: root ticket record undelivered
local running, oldest, ready = 0, nil, {}
local PLACES = { high = 1, normal = 2, low = 3 }

for index = 5, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[index], GROUP)
  local taken = not pending.err and pending[1] or 0
  running = running + taken
  ready[#ready + 1] = math.max(0, redis.call('XLEN', KEYS[index]) - taken)
  local since = waiting_since(KEYS[index])
  if since and (not oldest or since < oldest) then oldest = since end
end

-- What waits for its turn came before its ticket does. Of many tenants a hundred are asked, of those whose turn is next.
local counters = redis.call('HGETALL', KEYS[1])
for i = 1, #counters, 2 do
  local lane, count = string.match(counters[i], '^turns_(%l+)$'), whole(counters[i + 1], 0)
  if PLACES[lane or ''] and count > 0 then
    local queue = string.sub(KEYS[1], #root + 7)
    ready[PLACES[lane]] = ready[PLACES[lane]] + count
    for _, tenant in ipairs(redis.pcall('ZRANGE', root .. 'turns:' .. queue .. ':' .. lane, 1, 100)) do
      local first = redis.pcall('ZRANGE', root .. 'tenant:' .. queue .. ':' .. lane .. ':' .. tenant, 0, 0, 'WITHSCORES')
      local since = first[2] and math.floor(tonumber(first[2]))
      if since and (not oldest or since < oldest) then oldest = since end
    end
  end
end
return {
  counters, redis.call('ZCARD', KEYS[2]), redis.call('ZCARD', KEYS[3]),
  redis.call('ZCARD', KEYS[4]), running, oldest or '', unpack(ready),
}
