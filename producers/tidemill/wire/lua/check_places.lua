#!lua flags=allow-oom
-- Does a place hold only jobs that belong there? Finds the others, a page at a time, and takes them out when told to.
-- KEYS  1 place (zset)
-- ARGV  1 1: repair  2 kind of place: wheel, dead, done, parked, expiring, line, called or permits  3 queue ('' for a
--       place of all queues), or limit
--       4 cursor ('0' at first)  5 page size
-- returns {cursor ('0' = that was all), findings}
-- include: arguments root record alarm leave finding
local BELONGS = {
  wheel = { scheduled = 1 }, dead = { dead = 1 }, done = { succeeded = 1, cancelled = 1, expired = 1 },
  parked = { scheduled = 1 }, expiring = { scheduled = 1, ready = 1 },
  line = { scheduled = 1 }, called = { ready = 1 }, permits = { running = 1 },
}
local LIMITS = { line = 1, called = 1, permits = 1 }
local repair, kind, queue = ARGV[1] == '1', ARGV[2], ARGV[3]
if queue ~= '' then expect_key(KEYS[1], root .. kind .. ':' .. queue) end
local page = redis.pcall('ZSCAN', KEYS[1], ARGV[4], 'COUNT', ARGV[5])
if page.err then return { '0', {} } end

-- What is corrupt stays: promote.lua and sweep.lua make an end of it.
local function belongs(record)
  if record.corrupt then return true end
  if not BELONGS[kind][record[1]] then return false end
  if kind == 'parked' then return record[3] end
  if LIMITS[kind] then
    local limits = ' ' .. (record[4] or '') .. ' '
    return string.find(limits, ' ' .. queue .. ' ', 1, true) or string.find(limits, ' ' .. queue .. ':', 1, true)
  end
  return queue == '' or not record[2] or record[2] == queue
end

local misplaced = {}
for i = 1, #page[2], 2 do
  local id = page[2][i]
  local record = examine(id, 'q', 'y', 'li')
  if not belongs(record) then
    misplaced[#misplaced + 1] = id
    report('misplaced', id, record[1] or '', repair)
  end
end
if repair and #misplaced > 0 then redis.call('ZREM', KEYS[1], unpack(misplaced)) end
if LIMITS[kind] and line_length(queue) > 0 then
  local is_stopped = kind == 'line' and redis.pcall('ZSCORE', root .. 'agenda', 'line:' .. queue) == false
  if is_stopped then report('line_stopped', queue, '', repair) end
  if repair and (is_stopped or #misplaced > 0) then wake_line(queue) end -- there may be room by now
end
return { page[1], findings }
