#!lua flags=no-writes
-- The whole state of a simulated world, in one call: read-only.
-- KEYS  1 any key of the shard
-- ARGV  1 prefix  2 number of queues, of tasks, of digests of unique keys: each count is followed by the names
--       then the job ids
-- returns {agenda, expiring, workers, queues, parked jobs by task, unique locks, records}
local root, at = ARGV[1], 2

local function names()
  local found, count = {}, tonumber(ARGV[at])
  for i = at + 1, at + count do found[#found + 1] = ARGV[i] end
  at = at + count + 1
  return found
end

local function scores(key) return redis.call('ZRANGE', root .. key, 0, -1, 'WITHSCORES') end

local function stream(key)
  local entries, pending = {}, {}
  for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
    entries[#entries + 1] = entry[1]
    entries[#entries + 1] = entry[2][2]
  end
  local found = redis.pcall('XPENDING', key, 'tidemill', '-', '+', 1000)
  for _, ticket in ipairs(found.err and {} or found) do
    pending[#pending + 1] = ticket[1]
    pending[#pending + 1] = ticket[2]
  end
  return { entries, pending }
end

local queues, parked, locks, records = {}, {}, {}, {}
for _, queue in ipairs(names()) do
  local ready = root .. 'ready:' .. queue
  queues[#queues + 1] = {
    scores('wheel:' .. queue), scores('dead:' .. queue), scores('done:' .. queue),
    stream(ready .. ':high'), stream(ready .. ':normal'), stream(ready .. ':low'),
  }
end
for _, task in ipairs(names()) do parked[#parked + 1] = scores('parked:' .. task) end
for _, digest in ipairs(names()) do locks[#locks + 1] = redis.call('GET', root .. 'unique:' .. digest) end
for i = at, #ARGV do
  records[#records + 1] =
    redis.call('HMGET', root .. 'job:' .. ARGV[i], 's', 'q', 'p', 't', 'l', 'a', 'k', 'd', 'n', 'u', 'x', 'y')
end
return { scores('agenda'), scores('expiring'), scores('workers'), queues, parked, locks, records }
