-- The server's time in µs, as a number: for who has to hit a millisecond, and not only to know it. Where a test hands
-- in a time, in ms, its first µs.
local function precise_clock(given)
  if given ~= '' then return number(given) * 1000 end
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
