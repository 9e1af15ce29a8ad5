#!lua flags=allow-oom
-- Is every unique key held by a job that is not over? Finds the others, and removes them when told to.
-- KEYS  1.. locks
-- ARGV  1 1: repair  then the digests, in the order of the locks
-- returns findings
-- include: arguments root record unique finding
for index, key in ipairs(KEYS) do expect_key(key, root .. 'unique:' .. (ARGV[1 + index] or '')) end
for index, key in ipairs(KEYS) do
  local digest, repair = ARGV[1 + index], ARGV[1] == '1'
  local found = redis.pcall('GET', key)
  if type(found) == 'string' then
    local holder = holder_of(digest)
    if not holder or read(holder, 'u')[2] ~= digest then
      report('lock_without_job', digest, found, repair)
      if repair then redis.call('DEL', key) end
    end
  end
end
return findings
