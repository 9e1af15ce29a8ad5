#!lua flags=allow-oom
-- Asks for one of the permits of a half-open breaker: so many calls are let through in the whole fleet, to see whether
-- the dependency is back. A permit is a lease: that of a process that has died is another's when it is over.
-- KEYS  1 breaker (hash)  2 breakers
-- ARGV  1 now  2 name  3 epoch that the caller knows  4 permit  5 lease ms  6 most permits
-- returns {epoch, state, ms after which it is worth asking again, reason, 1 if the permit was given}; a closed breaker
--         needs none
-- include: arguments clock root record expect breaker
local now, name, known = clock(ARGV[1]), ARGV[2], number(ARGV[3])
local permit, lease_ms, most = 'permit:' .. ARGV[4], number(ARGV[5]), number(ARGV[6])
expect_breaker(name)
local breaker = read_breaker(KEYS[1])
if known > breaker.epoch then
  change_breaker(breaker, name, now, known, breaker.state, breaker.due, breaker.reason)
end
if breaker.state == 'open' and breaker.due <= now then
  change_breaker(breaker, name, now, known, 'half_open', now, breaker.reason)
end
local news = news_of(breaker, now)
news[5] = 0
if breaker.state ~= 'half_open' then return news end

-- Returns how many are out, when the first of them is over, and whether this one is among them.
local function permits()
  local fields, out, first, is_known = redis.call('HGETALL', KEYS[1]), 0, nil, false
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 7) == 'permit:' then
      local ends = whole(fields[i + 1], 0)
      if ends <= now then
        redis.call('HDEL', KEYS[1], fields[i])
      else
        out, first, is_known = out + 1, math.min(first or ends, ends), is_known or fields[i] == permit
      end
    end
  end
  return out, first, is_known
end

local out, first, is_known = permits()
if not is_known and breaker.passed + out >= most then
  news[3] = first and first - now or lease_ms
  return news
end
redis.call('HSET', KEYS[1], permit, text_of(now + lease_ms))
keep_breaker(lease_ms + BREAKER_KEPT_MS)
news[5] = 1
return news
