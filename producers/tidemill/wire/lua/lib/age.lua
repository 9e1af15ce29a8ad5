-- The limit by age: how long the oldest job of a queue that waits in its streams has waited. Who enqueues may not read
-- streams: a scheduler looks, once a second, and notes what it has seen (shed.lua). So an age is up to a second old; one
-- that is older than AGE_BELIEVED_MS, as no scheduler runs, is not believed, and nothing is refused for it.
local AGE_BELIEVED_MS = 5000

-- `noted`: '<age ms> <when ms>'.
local function age_seen(noted, now)
  local age, seen = string.match(noted or '', '^(%d+) (%d+)$')
  seen = whole(seen)
  return seen and math.abs(now - seen) <= AGE_BELIEVED_MS and whole(age) or 0
end

-- In how many ms the oldest is younger than `wanted`, if nothing else comes and what is held is gone in `drain` ms. The
-- queue was filled evenly: when its last job starts, that one has waited for `drain`, and the age goes there in a line.
local function ms_until_young(age, wanted, drain)
  if age <= wanted then return 0 end
  if drain >= wanted then return drain end
  return drain * (age - wanted) / (age - drain)
end
