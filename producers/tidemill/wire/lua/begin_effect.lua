#!lua flags=allow-oom
-- An effect outside of Redis begins. Its marker says so before it can happen: an attempt that finds a marker without a
-- result knows that an earlier one died, or failed, somewhere between.
-- KEYS  1 record  2 marker
-- ARGV  1 id  2 incarnation  3 attempt  4 call (of its own for each beginning)  5 ttl ms
-- returns {'new'}; {'done', result}; {'unknown'}: it was begun before, and is taken over;
--         {'busy', id of the job that is at it}; {'fenced'}
-- include: arguments root record fence marker
expect_ttl()
if not holds(read(ARGV[1], 'l', 'a'), ARGV[2], ARGV[3]) then return { 'fenced' } end
local marker = read_marker()
if marker.done then return { 'done', marker.done } end
if marker.call == ARGV[4] then return { marker.told } end -- a repeated call
if is_at_it(marker) then return { 'busy', marker.job } end
local told = marker.call and 'unknown' or 'new'
mark_begun(told)
return { told }
