#!lua flags=allow-oom
-- Opens a breaker for all: what a process has seen of its calls is enough.
-- KEYS  1 breaker (hash)  2 breakers
-- ARGV  1 now  2 name  3 epoch in which the calls were made  4 reason  5 reset timeout ms  6 longest reset timeout ms
-- returns {epoch, state, ms until it may be half-open, reason}: as it was when the calls are those of an earlier epoch
-- include: arguments clock root record expect breaker
local now, name, known = clock(ARGV[1]), ARGV[2], number(ARGV[3])
local reset_ms, most_ms = number(ARGV[5]), number(ARGV[6])
expect_breaker(name)
local breaker = read_breaker(KEYS[1])
if known > breaker.epoch or (known == breaker.epoch and breaker.state == 'closed') then
  open_breaker(breaker, name, now, known, ARGV[4], reset_ms, most_ms)
end
return news_of(breaker, now)
