#!lua
-- A worker tells how often it has used versions of templates since it told last: see hottest.lua. These are figures: a
-- call that is sent again counts twice.
-- KEYS  1 templates
-- ARGV  1 now  then for each version: name, number, uses, hits (uses that found it in the worker's cache)
-- returns 1
-- include: arguments clock root expect name uses
-- Of a day, the versions that are used most; more would not fit into the caches that they are loaded into.
local MOST_HOT = 10000
local now = clock(ARGV[1])
expect_rows(2, 4)
expect_key(KEYS[1], root .. 'templates')
local day, hour = day_key(math.floor(now / DAY_MS)), hour_key(math.floor(now / HOUR_MS))
expect('zset', day)
expect('hash', hour)
local rows = {}
for i = 2, #ARGV, 4 do
  expect_name(ARGV[i])
  local version, uses, hits = text_of(number(ARGV[i + 1])), number(ARGV[i + 2]), number(ARGV[i + 3])
  if hits < 0 or uses < hits then refuse('a count is wrong') end
  rows[#rows + 1] = { ARGV[i] .. ':' .. version, text_of(uses), text_of(hits) }
end
if #rows == 0 then return 1 end
for _, row in ipairs(rows) do
  redis.call('ZINCRBY', day, row[2], row[1])
  redis.call('HINCRBY', hour, 'u:' .. row[1], row[2])
  redis.call('HINCRBY', hour, 'h:' .. row[1], row[3])
end
redis.call('ZREMRANGEBYRANK', day, 0, -MOST_HOT - 1)
redis.call('PEXPIRE', day, 2 * DAY_MS, 'NX')
redis.call('PEXPIRE', hour, 2 * HOUR_MS, 'NX')
return 1
