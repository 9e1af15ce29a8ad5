-- One clock: the server's, read once in a script. A test hands a time in; production passes ''.
local function clock(given)
  if given ~= '' then return number(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- For the commands of each job: Redis takes a text as it is, but prints a number with seventeen digits, slowly.
local function text_of(whole_number) return string.format('%.0f', whole_number) end
