-- A template as all processes share it: a hash with what is current, and a field `v:<number>` for each of its versions:
-- the content's digest, when it was published and when it was retired (ms; 0: it is not), and the content's bytes. A
-- field `d:<digest>` has the number of the version with that content.
-- Each change raises the revision. It is never below the time: what is remembered of a template that the server has
-- lost is older than whatever comes after it.
-- The versions that are not retired stand in one sorted set; those that are, in another, until they are forgotten.
-- That is done a few at a time: whatever retires one more forgets more than one.
local FORGOTTEN_AT_ONCE = 10

local function expect_template(name)
  expect_name(name)
  expect_key(KEYS[1], root .. 'template:' .. name)
  expect('hash', KEYS[1])
  expect('zset', root .. 'versions:' .. name, root .. 'retired:' .. name)
end

local function content_key(name, version) return root .. 'content:' .. name .. ':' .. version end

-- nil: there is no such version. `version`: its number as a text.
local function read_version(version)
  local row = redis.call('HGET', KEYS[1], 'v:' .. version) or ''
  local digest, published, retired, bytes = string.match(row, '^(%x+) (%d+) (%d+) (%d+)$')
  if not digest then return nil end
  return { digest = digest, published = published, retired = whole(retired, 0), bytes = bytes }
end

local function write_version(version, digest, published, retired, bytes)
  redis.call('HSET', KEYS[1], 'v:' .. version, table.concat({ digest, published, retired, bytes }, ' '))
end

local function retire_version(name, version, found, now, kept_ms)
  redis.call('ZREM', root .. 'versions:' .. name, version)
  redis.call('ZADD', root .. 'retired:' .. name, text_of(now + kept_ms), version)
  redis.call('PEXPIRE', content_key(name, version), text_of(kept_ms))
  write_version(version, found.digest, found.published, text_of(now), found.bytes)
end

local function forget_version(name, version)
  local found = read_version(version)
  if found then redis.call('HDEL', KEYS[1], 'v:' .. version, 'd:' .. found.digest) end
  redis.call('ZREM', root .. 'retired:' .. name, version)
end

-- Their contents have ended by then.
local function forget_retired(name, now)
  local over = redis.call(
    'ZRANGE', root .. 'retired:' .. name, '-inf', text_of(now), 'BYSCORE', 'LIMIT', 0, FORGOTTEN_AT_ONCE
  )
  for _, version in ipairs(over) do forget_version(name, version) end
end

-- After each change: which version is the newest may be another.
local function change_template(name, now)
  local version = redis.call('ZRANGE', root .. 'versions:' .. name, -1, -1)[1]
  local found = version and read_version(version)
  if not found then redis.call('HDEL', KEYS[1], 'newest') end
  local revision = text_of(math.max(whole(redis.call('HGET', KEYS[1], 'revision'), 0) + 1, now))
  local newest = found and { 'newest', version .. ' ' .. found.digest } or {}
  redis.call('HSET', KEYS[1], 'revision', revision, unpack(newest))
  redis.call('SPUBLISH', root .. 'templates', name .. ' ' .. revision)
end
