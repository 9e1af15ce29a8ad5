#!lua flags=allow-oom
-- Opens or closes a breaker by hand. An open one is half-open when its time is over, as any other.
-- KEYS  1 breaker (hash)  2 breakers  3 audit
-- ARGV  1 now  2 by  3 reason  4 operation  5 filter  6 name  7 open or closed  8 ms that it stays open
-- returns {epoch, state, ms until it may be half-open, reason}
-- include: arguments clock root record expect audit breaker
local now, name, state = clock(ARGV[1]), ARGV[6], ARGV[7]
local due = now + number(ARGV[8])
expect_breaker(name)
expect_audit(KEYS[3])
local breaker = read_breaker(KEYS[1])
-- The same call came before, and its reply was lost.
if redis.call('HGET', KEYS[1], 'operation') == ARGV[4] then return news_of(breaker, now) end
audit(state == 'open' and 'open_breaker' or 'close_breaker', now, { unpack(ARGV, 2, 5) }, { 'breaker:' .. name })
breaker.openings = state == 'open' and 1 or 0
change_breaker(breaker, name, now, 0, state, state == 'open' and due or now, 'hand')
redis.call('HSET', KEYS[1], 'operation', ARGV[4])
return news_of(breaker, now)
