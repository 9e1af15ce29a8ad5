#!lua flags=allow-oom,no-writes
-- What a scheduler has to do, and when: read-only, one call.
-- KEYS  1 agenda  2 workers  3 expiring  4 recurring occurrences  5 departed
-- ARGV  1 now
-- returns {now, due queues, next wheel ms, next lease end ms, next expiry ms, next occurrence ms,
--          when the first of the departed left ms}: '' where none
-- include: arguments clock
local now = clock(ARGV[1])
local function first(key) return redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or '' end
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)
return { now, due, first(KEYS[1]), first(KEYS[2]), first(KEYS[3]), first(KEYS[4]), first(KEYS[5]) }
