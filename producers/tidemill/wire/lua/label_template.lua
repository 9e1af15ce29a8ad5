#!lua flags=allow-oom
-- Puts a label on a version of a template, in place of where it was; or removes it.
-- KEYS  1 template (hash)  2 audit
-- ARGV  1 now  2 by  3 reason  4 operation  5 filter  6 name  7 label  8 number ('' removes it)  9 weight
-- returns done, unknown (there is no such version, or label), retired (the version is), or full: it has too many labels
-- include: arguments clock root record expect audit name template labels
local now, name, label, weight = clock(ARGV[1]), ARGV[6], ARGV[7], number(ARGV[9])
local version = ARGV[8] ~= '' and text_of(number(ARGV[8]))
if weight < 0 then refuse('a weight is negative') end
expect_template(name)
expect_name(label)
expect_audit(KEYS[2])
-- The same call came before, and its reply was lost.
if redis.call('HGET', KEYS[1], 'operation') == ARGV[4] then return 'done' end
local found = version and read_version(version)
if version and not found then return 'unknown' end
if found and found.retired > 0 then return 'retired' end
local words, was = {}, nil
for _, one in ipairs(read_labels()) do
  if one[1] == label then was = one else words[#words + 1] = table.concat(one, ' ') end
end
if not version and not was then return 'unknown' end
if found then words[#words + 1] = table.concat({ label, version, found.digest, text_of(weight) }, ' ') end
if #words > MOST_LABELS then return 'full' end

local action = version and 'label_template' or 'unlabel_template'
audit(action, now, { unpack(ARGV, 2, 5) }, { 'template:' .. name .. ':' .. (version or was[2]) })
redis.call('HSET', KEYS[1], 'labels', table.concat(words, ','), 'operation', ARGV[4])
change_template(name, now)
return 'done'
