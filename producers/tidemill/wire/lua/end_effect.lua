#!lua flags=allow-oom
-- An effect that this attempt has begun is over: it has happened, with a result, or certainly not, and may begin anew.
-- KEYS  1 record  2 marker
-- ARGV  1 id  2 incarnation  3 attempt  4 call that began it  5 ttl ms  6 'done' or 'undone'  7 result
-- returns 1 recorded, 0 fenced, or taken over by another attempt
-- include: arguments root record fence marker
expect_ttl()
if not holds(read(ARGV[1], 'l', 'a'), ARGV[2], ARGV[3]) then return 0 end
local marker = read_marker()
if marker.call and marker.call ~= ARGV[4] then return 0 end
if ARGV[6] == 'done' then
  write_marker('done', ARGV[7])
  redis.call('HDEL', KEYS[2], 'told', 'job', 'worker', 'attempt')
elseif marker.call and not marker.done then
  redis.call('DEL', KEYS[2])
end
return 1
