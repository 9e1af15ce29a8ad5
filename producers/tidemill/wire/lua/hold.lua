#!lua flags=allow-oom
-- A job that may be what kills its workers waits in one to start, or to run alone: as long as it waits, that worker's
-- death is not its own. take.lua has noted that it waits; its worker takes it back before it starts.
-- KEYS  1 record
-- ARGV  1 id  2 incarnation  3 attempt  4 1: it waits, 0: it starts
-- returns 1 done, 0 fenced
-- include: arguments root record fence
expect_key(KEYS[1], root .. 'job:' .. ARGV[1])
if not holds(read(ARGV[1], 'l', 'a'), ARGV[2], ARGV[3]) then return 0 end
if ARGV[4] == '1' then
  redis.call('HSET', KEYS[1], 'h', 1)
else
  redis.call('HDEL', KEYS[1], 'h')
end
return 1
