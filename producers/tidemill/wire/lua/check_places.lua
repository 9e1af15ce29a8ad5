#!lua flags=allow-oom
-- Does a place hold only jobs that belong there? Finds the others, a page at a time, and takes them out when told to.
-- KEYS  1 place (zset)
-- ARGV  1 1: repair  2 kind of place: wheel, dead, done, parked or expiring  3 queue ('' for a place of all queues)
--       4 cursor ('0' at first)  5 page size
-- returns {cursor ('0' = that was all), findings}
-- include: arguments root record finding
local BELONGS = {
  wheel = { scheduled = 1 }, dead = { dead = 1 }, done = { succeeded = 1, cancelled = 1, expired = 1 },
  parked = { scheduled = 1 }, expiring = { scheduled = 1, ready = 1 },
}
local repair, kind, queue = ARGV[1] == '1', ARGV[2], ARGV[3]
if queue ~= '' then expect_key(KEYS[1], root .. kind .. ':' .. queue) end
local page = redis.pcall('ZSCAN', KEYS[1], ARGV[4], 'COUNT', ARGV[5])
if page.err then return { '0', {} } end

-- What is corrupt stays: promote.lua and sweep.lua make an end of it.
local function belongs(record)
  if record.corrupt then return true end
  if not BELONGS[kind][record[1]] then return false end
  if kind == 'parked' then return record[3] end
  return queue == '' or not record[2] or record[2] == queue
end

local misplaced = {}
for i = 1, #page[2], 2 do
  local id = page[2][i]
  local record = examine(id, 'q', 'y')
  if not belongs(record) then
    misplaced[#misplaced + 1] = id
    report('misplaced', id, record[1] or '', repair)
  end
end
if repair and #misplaced > 0 then redis.call('ZREM', KEYS[1], unpack(misplaced)) end
return { page[1], findings }
