#!lua flags=allow-oom
-- What came of a probe: a failure opens the breaker again, and as many successes as there are permits close it. One that
-- tells nothing (the job was cancelled) gives its permit back.
-- KEYS  1 breaker (hash)  2 breakers
-- ARGV  1 now  2 name  3 permit  4 passed, failed or nothing  5 most permits  6 reset timeout ms
--       7 longest reset timeout ms
-- returns {epoch, state, ms until it may be half-open, reason}: as it was when the permit was of an earlier epoch
-- include: arguments clock root record expect breaker
local now, name, permit, outcome = clock(ARGV[1]), ARGV[2], 'permit:' .. ARGV[3], ARGV[4]
local most, reset_ms, most_ms = number(ARGV[5]), number(ARGV[6]), number(ARGV[7])
expect_breaker(name)
local breaker = read_breaker(KEYS[1])
if breaker.state ~= 'half_open' or redis.call('HDEL', KEYS[1], permit) == 0 then return news_of(breaker, now) end
if outcome == 'failed' then
  open_breaker(breaker, name, now, 0, 'probe', reset_ms, most_ms)
elseif outcome ~= 'passed' then
  publish_breaker(breaker, name, now) -- the permit is free: it is worth asking again
elseif breaker.passed + 1 < most then
  redis.call('HINCRBY', KEYS[1], 'passed', 1)
else
  breaker.openings = 0
  change_breaker(breaker, name, now, 0, 'closed', now, 'probe')
end
return news_of(breaker, now)
