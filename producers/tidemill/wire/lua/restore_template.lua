#!lua flags=allow-oom
-- A version of a template that was retired is as before. The newest is the one with the highest number, as ever.
-- KEYS  1 template (hash)  2 audit
-- ARGV  1 now  2 by  3 reason  4 operation  5 filter  6 name  7 number
-- returns done (also when it is not retired), or unknown: there is no such version, or its content is gone
-- include: arguments clock root record expect audit name template
local now, name, version = clock(ARGV[1]), ARGV[6], text_of(number(ARGV[7]))
expect_template(name)
expect_audit(KEYS[2])
local found, key = read_version(version), content_key(name, version)
if not found or redis.call('EXISTS', key) == 0 then return 'unknown' end
if found.retired == 0 then return 'done' end
audit('restore_template', now, { unpack(ARGV, 2, 5) }, { 'template:' .. name .. ':' .. version })
redis.call('PERSIST', key)
redis.call('ZREM', root .. 'retired:' .. name, version)
redis.call('ZADD', root .. 'versions:' .. name, version, version)
write_version(version, found.digest, found.published, 0, found.bytes)
change_template(name, now)
return 'done'
