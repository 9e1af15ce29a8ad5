#!lua flags=allow-oom
-- Does a tenant's line hold only jobs that wait for their turn, and has the tenant a turn? Finds what is wrong, a page at
-- a time, and mends it when told to.
-- KEYS  1 turns (zset)  2 line (zset)
-- ARGV  1 1: repair  2 queue  3 lane  4 tenant  5 cursor ('0' at first)  6 page size
-- returns {cursor ('0' = that was all), findings}
-- include: arguments root record expect ticket count turns leave_turns finding
local repair, queue, lane, tenant = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4]
local turns, lines = turn_keys(queue, lane)
expect_key(KEYS[1], turns)
expect_key(KEYS[2], lines .. tenant)
local page = redis.pcall('ZSCAN', KEYS[2], ARGV[5], 'COUNT', ARGV[6])
if page.err then return { '0', {} } end
if repair then expect('zset', KEYS[1]) end

local misplaced = {}
for i = 1, #page[2], 2 do
  local id = page[2][i]
  local record = examine(id, 'q')
  if record[1] ~= 'ready' or record[2] ~= queue then
    misplaced[#misplaced + 1] = id
    report('misplaced', id, record.corrupt or record[1] or '', repair)
  end
end
if repair then
  for _, id in ipairs(misplaced) do leave_turns(queue, lane, tenant, id) end
end
if redis.call('EXISTS', KEYS[2]) == 1 and redis.pcall('ZSCORE', KEYS[1], tenant) == false then
  report('line_without_turn', tenant, '', repair)
  if repair then
    local clock = redis.call('ZSCORE', KEYS[1], '') or 0
    redis.call('ZADD', KEYS[1], clock, '', virtual(tonumber(clock) + 1 / weight_of(queue, tenant)), tenant)
  end
end
return { page[1], findings }
