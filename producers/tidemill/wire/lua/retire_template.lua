#!lua flags=allow-oom
-- Retires a version of a template: nothing more is enqueued for it; what was enqueued still finds its content, for as
-- long as it is kept. One that is retired is kept for so long from now on.
-- KEYS  1 template (hash)  2 audit
-- ARGV  1 now  2 by  3 reason  4 operation  5 filter  6 name  7 number  8 ms that its content is kept
-- returns done, unknown (there is no such version) or labelled (its labels go first)
-- include: arguments clock root record expect audit name template labels
local now, name, version, kept_ms = clock(ARGV[1]), ARGV[6], text_of(number(ARGV[7])), number(ARGV[8])
if kept_ms < 0 then refuse('a time is negative') end
expect_template(name)
expect_audit(KEYS[2])
-- The same call came before, and its reply was lost.
if redis.call('HGET', KEYS[1], 'operation') == ARGV[4] then return 'done' end
local found = read_version(version)
if not found then return 'unknown' end
if labelled_versions()[version] then return 'labelled' end
audit('retire_template', now, { unpack(ARGV, 2, 5) }, { 'template:' .. name .. ':' .. version })
retire_version(name, version, found, now, kept_ms)
forget_retired(name, now - 1)
redis.call('HSET', KEYS[1], 'operation', ARGV[4])
change_template(name, now)
return 'done'
