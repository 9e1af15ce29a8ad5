-- A breaker as all processes share it: a hash with its state, and the permits of its probes as fields `permit:<id>`.
-- The epoch is raised with each change of state. It is never below the time: what is remembered of a hash that has come
-- to its end is older than whatever comes after it. What an epoch before this one has led to is late news, and changes
-- nothing; a caller that knows a later epoch than the server has seen the server lose one.
-- Kept for a day after the last change: no call that began before it is still under way then.
local BREAKER_KEPT_MS = 86400000
local BREAKER_STATES = { closed = 1, open = 1, half_open = 1 }

local function expect_breaker(name)
  expect_key(KEYS[1], root .. 'breaker:' .. name)
  expect_key(KEYS[2], root .. 'breakers')
  expect('hash', KEYS[1])
  expect('zset', KEYS[2])
end

local function read_breaker(key)
  local found = redis.call('HMGET', key, 'state', 'epoch', 'until', 'reason', 'openings', 'passed')
  return {
    state = BREAKER_STATES[found[1]] and found[1] or 'closed', epoch = whole(found[2], 0), due = whole(found[3], 0),
    reason = found[4] or '', openings = whole(found[5], 0), passed = whole(found[6], 0),
  }
end

local function keep_breaker(for_ms)
  redis.call('PEXPIRE', KEYS[1], for_ms)
  redis.call('PEXPIRE', KEYS[2], for_ms, 'NX')
  redis.call('PEXPIRE', KEYS[2], for_ms, 'GT')
end

local function publish_breaker(breaker, name, now)
  local wait = text_of(math.max(0, breaker.due - now))
  local words = { name, text_of(breaker.epoch), breaker.state, wait, breaker.reason }
  redis.call('SPUBLISH', root .. 'breakers', table.concat(words, ' '))
end

-- `known`: the epoch that the caller has seen. The permits of the state before end with it.
local function change_breaker(breaker, name, now, known, state, due, reason)
  breaker.epoch = math.max(breaker.epoch + 1, known + 1, now)
  breaker.state, breaker.due, breaker.reason, breaker.passed = state, due, reason, 0
  redis.call('DEL', KEYS[1])
  redis.call(
    'HSET', KEYS[1], 'state', state, 'epoch', text_of(breaker.epoch), 'until', text_of(due), 'reason', reason,
    'openings', breaker.openings, 'passed', 0, 'changed', text_of(now)
  )
  local kept_ms = math.max(0, due - now) + BREAKER_KEPT_MS
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text_of(now))
  redis.call('ZADD', KEYS[2], text_of(now + kept_ms), name)
  keep_breaker(kept_ms)
  publish_breaker(breaker, name, now)
end

-- Each opening that no closing came between doubles the time to the next probe, up to `most_ms`.
local function open_breaker(breaker, name, now, known, reason, reset_ms, most_ms)
  breaker.openings = breaker.openings + 1
  local doubled = reset_ms * 2 ^ math.min(breaker.openings - 1, 30)
  change_breaker(breaker, name, now, known, 'open', now + math.min(doubled, most_ms), reason)
end

local function news_of(breaker, now)
  return { breaker.epoch, breaker.state, math.max(0, breaker.due - now), breaker.reason }
end
