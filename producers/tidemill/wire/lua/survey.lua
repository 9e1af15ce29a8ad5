#!lua flags=allow-oom,no-writes
-- What a scheduler has to do, and when: read-only, one call.
-- KEYS  1 agenda  2 workers  3 expiring  4 recurring occurrences  5 departed  6 watched queues
-- ARGV  1 now  2 most due queues
-- returns {now in µs, due queues, the queues that are next and when in ms as pairs (ten at most), next lease end ms,
--          next expiry ms, next occurrence ms, when the first of the departed left ms, when to look at a watched
--          queue, ms}: '' where none
-- include: arguments precise_clock
local now_us = precise_clock(ARGV[1])
local now = math.floor(now_us / 1000)
local function first(key) return redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or '' end
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, number(ARGV[2]))
local next = redis.call('ZRANGE', KEYS[1], string.format('(%d', now), '+inf', 'BYSCORE', 'LIMIT', 0, 10, 'WITHSCORES')
return { now_us, due, next, first(KEYS[2]), first(KEYS[3]), first(KEYS[4]), first(KEYS[5]), first(KEYS[6]) }
