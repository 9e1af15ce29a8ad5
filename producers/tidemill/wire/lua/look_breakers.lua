#!lua flags=allow-oom,no-writes
-- The state of breakers, by the server's clock.
-- KEYS  1.. breakers (hashes)
-- ARGV  1 now
-- returns for each {epoch, state, ms until it may be half-open, reason, openings since it was closed, probes that passed,
--         permits that are out, when it changed ms}
-- include: arguments clock root record expect breaker
local now, rows = clock(ARGV[1]), {}
for index, key in ipairs(KEYS) do
  local breaker, out = read_breaker(key), 0
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 7) == 'permit:' and whole(fields[i + 1], 0) > now then out = out + 1 end
  end
  local news = news_of(breaker, now)
  local changed = redis.call('HGET', key, 'changed')
  news[5], news[6], news[7], news[8] = breaker.openings, breaker.passed, out, whole(changed, 0)
  rows[index] = news
end
return rows
