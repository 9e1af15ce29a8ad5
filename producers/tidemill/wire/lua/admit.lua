#!lua flags=allow-oom
-- SCHEDULED -> READY for those at the head of a limit's line that may start about now. Whether they do is decided by
-- take.lua: who comes too early keeps his turn.
-- KEYS  1 line  2 agenda
-- ARGV  1 now  2 limit
-- returns as promote.lua: {let in, when to look again ms ('' = nobody waits), 0, 0}
-- include: arguments clock root record expect alarm ticket leave limits let_in
local now = clock(ARGV[1])
expect_key(KEYS[1], root .. 'line:' .. ARGV[2])
expect('zset', KEYS[2])
local called, due = let_in(limits_of(now), ARGV[2], now, true)
return { called, due or '', 0, 0 }
