#!lua flags=allow-oom,no-writes
-- The versions of templates that the fleet uses most.
-- KEYS  1 templates
-- ARGV  1 now  2 how many, at most
-- returns for each, the most used first: {name:number, uses in the last 24 hours, uses in the last hour, hits in it}
-- include: arguments clock root uses
local now, most = clock(ARGV[1]), number(ARGV[2])
if most < 1 or most > 1000 then refuse('how many is out of range') end

-- The key of this span, the one before, and how much of that counts.
local function spans(key_of, span_ms)
  local span = math.floor(now / span_ms)
  return key_of(span), key_of(span - 1), 1 - (now % span_ms) / span_ms
end

local function estimate(current, before, part)
  return math.floor((tonumber(current or '') or 0) + part * (tonumber(before or '') or 0))
end

expect_key(KEYS[1], root .. 'templates')
local today, yesterday, part = spans(day_key, DAY_MS)
local members, seen = {}, {}
for _, key in ipairs({ today, yesterday }) do
  for _, member in ipairs(redis.call('ZRANGE', key, 0, most - 1, 'REV')) do
    if not seen[member] then members[#members + 1] = member end
    seen[member] = true
  end
end
if #members == 0 then return {} end

local rows = {}
local counts, former = redis.call('ZMSCORE', today, unpack(members)), redis.call('ZMSCORE', yesterday, unpack(members))
for i, member in ipairs(members) do rows[i] = { member, estimate(counts[i], former[i], part) } end
table.sort(rows, function(a, b)
  if a[2] ~= b[2] then return a[2] > b[2] end
  return a[1] < b[1]
end)

local hour, hour_before, hour_part = spans(hour_key, HOUR_MS)
local found = {}
for i = 1, math.min(most, #rows) do
  local row = rows[i]
  local fields = { 'u:' .. row[1], 'h:' .. row[1] }
  local current = redis.call('HMGET', hour, unpack(fields))
  local before = redis.call('HMGET', hour_before, unpack(fields))
  row[3], row[4] = estimate(current[1], before[1], hour_part), estimate(current[2], before[2], hour_part)
  found[i] = row
end
return found
