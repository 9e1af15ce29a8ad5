#!lua flags=allow-oom,no-writes
-- The figures of one queue: read-only.
-- KEYS  1 queue settings and counters (hash)  2 wheel  3 dead letters  4 finished  5.. ready streams high, normal, low
-- ARGV  none
-- returns {settings and counters as pairs, wheel, dead, finished, running, oldest ready ms ('' = none), ready high,
--          ready normal, ready low}
-- include: root ticket record
local running, oldest, ready = 0, nil, {}
local PLACES = { high = 1, normal = 2, low = 3 }

-- From where on nothing was delivered yet: the groups of other programs do not count.
local function undelivered(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err then return '-' end
  for _, pairs_of_group in ipairs(groups) do
    local group = {}
    for i = 1, #pairs_of_group, 2 do group[pairs_of_group[i]] = pairs_of_group[i + 1] end
    if group.name == GROUP then return '(' .. group['last-delivered-id'] end
  end
  return '-'
end

for index = 5, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[index], GROUP)
  local taken = not pending.err and pending[1] or 0
  running = running + taken
  ready[#ready + 1] = math.max(0, redis.call('XLEN', KEYS[index]) - taken)
  local waiting = redis.call('XRANGE', KEYS[index], undelivered(KEYS[index]), '+', 'COUNT', 1)
  if waiting[1] then
    local since = tonumber(string.match(waiting[1][1], '^%d+'))
    if not oldest or since < oldest then oldest = since end
  end
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
