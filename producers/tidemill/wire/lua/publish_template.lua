#!lua
-- Publishes a version of a template. Content that was published before keeps its number, and changes nothing; where the
-- server has lost it, or holds it signed with another key, it is there again. One version beyond those that are kept
-- retires the oldest without a label.
-- KEYS  1 template (hash)  2 templates
-- ARGV  1 now  2 name  3 task  4 digest of the content in hex  5 content  6 versions kept
--       7 ms that the content of one that is retired is kept
-- returns {number, 1: it is new, 1: it is retired} | {0, the task that the template has}
-- include: arguments clock root record expect name template labels
local SIGNED = 0xC1 -- the first byte of a signed body: see wire/signing.py
local now, name, task, digest, content = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local most, kept_ms = number(ARGV[6]), number(ARGV[7])
if #digest ~= 32 or not string.find(digest, '^[0-9a-f]+$') then refuse('one is no digest') end
if most < 1 or kept_ms < 0 or not content then refuse('one is missing, or too small') end
expect_template(name)
expect_key(KEYS[2], root .. 'templates')
expect('set', KEYS[2])
local its_task, last, known = unpack(redis.call('HMGET', KEYS[1], 'task', 'last', 'd:' .. digest))
if its_task and its_task ~= task then return { 0, its_task } end

local found = known and read_version(known)
if found then
  local over = tonumber(redis.call('ZSCORE', root .. 'retired:' .. name, known) or '') or now + kept_ms
  if found.retired == 0 or over > now then
    local key = content_key(name, known)
    -- What is signed with another key takes its place, so that keys can be changed; what is not signed never does.
    local is_signed = string.byte(content) == SIGNED
    if is_signed then expect('string', key) end
    if redis.call('EXISTS', key) == 0 or (is_signed and redis.call('GET', key) ~= content) then
      redis.call('SET', key, content)
      if found.retired > 0 then redis.call('PEXPIRE', key, text_of(over - now)) end
    end
    return { tonumber(known), 0, found.retired > 0 and 1 or 0 }
  end
  forget_version(name, known)
end

local version = text_of(whole(last, 0) + 1)
forget_retired(name, now)
redis.call('SADD', KEYS[2], name)
redis.call('SET', content_key(name, version), content)
redis.call('HSET', KEYS[1], 'task', task, 'last', version, 'd:' .. digest, version)
write_version(version, digest, text_of(now), 0, #content)
redis.call('ZADD', root .. 'versions:' .. name, version, version)
if redis.call('ZCARD', root .. 'versions:' .. name) > most then
  local labelled = labelled_versions()
  for _, oldest in ipairs(redis.call('ZRANGE', root .. 'versions:' .. name, 0, MOST_LABELS)) do
    local row = not labelled[oldest] and oldest ~= version and read_version(oldest)
    if row then
      retire_version(name, oldest, row, now, kept_ms)
      break
    end
  end
end
change_template(name, now)
return { tonumber(version), 1, 0 }
