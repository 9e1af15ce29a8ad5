#!lua flags=allow-oom,no-writes
-- A page of a queue's dead letters, the newest first, without those that a filter holds back: read-only.
-- KEYS  1 dead letters (zset)
-- ARGV  1 since ms  2 before ms  3 time of the letter to go on behind ('' = from the newest)  4 its id  5 page size
--       6 task  7 type of the error  8 text in its message ('' = any)
-- returns {time and id of the last letter looked at ('' = that was all), letters: id, its place's time, when it
--          died, task, attempt, uncounted attempts, crashes, type of the error, beginning of its message}
-- include: arguments root record
local since, before, page = number(ARGV[1]), number(ARGV[2]), number(ARGV[5])
local task, kind, part = ARGV[6], ARGV[7], ARGV[8]
if page < 1 or page > 1000 then refuse('a page is of 1 to 1000') end
-- What is shown of a message in a list; the whole stands in the record.
local MESSAGE_BYTES = 400

-- As the server orders members: by their bytes. (Lua's `<` goes by the locale.)
local function is_below(a, b)
  for i = 1, math.min(#a, #b) do
    local of_a, of_b = string.byte(a, i), string.byte(b, i)
    if of_a ~= of_b then return of_a < of_b end
  end
  return #a < #b
end

-- The rank of the first letter behind this one, which may be gone. Many can have died in one millisecond: their ids
-- are in order, so it is searched for by halves.
local function rank_behind(time, id)
  local first = redis.call('ZCOUNT', KEYS[1], '(' .. time, '+inf')
  local low, high = first, first + redis.call('ZCOUNT', KEYS[1], time, time)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', KEYS[1], middle, middle, 'REV')[1]
    if is_below(member, id) then high = middle else low = middle + 1 end
  end
  return low
end

local function error_of(record)
  if record.corrupt then return 'CorruptRecord', record.corrupt end
  local is_read, found = pcall(cmsgpack.unpack, record[7] or '')
  if not is_read or type(found) ~= 'table' then return '', '' end
  return tostring(found.type or ''), tostring(found.message or '')
end

local start = redis.call('ZCOUNT', KEYS[1], ARGV[2], '+inf')
if ARGV[3] ~= '' then
  if not tonumber(ARGV[3]) then refuse('a time is no number') end
  start = math.max(start, rank_behind(ARGV[3], ARGV[4]))
end
local found = redis.call('ZRANGE', KEYS[1], start, start + page - 1, 'REV', 'WITHSCORES')
local is_over, letters = #found < 2 * page, {}
for i = 1, #found, 2 do
  local id = found[i]
  if tonumber(found[i + 1]) < since then
    is_over = true
    break
  end
  local record = read(id, 't', 'f', 'a', 'v', 'k', 'e')
  local died_of, message = error_of(record)
  local fits = (task == '' or record[2] == task) and (kind == '' or died_of == kind)
  if record[1] == 'dead' and fits and (part == '' or string.find(message, part, 1, true)) then
    letters[#letters + 1] = {
      id, found[i + 1], record[3] or '', record[2] or '', record[4] or '', record[5] or '', record[6] or '',
      died_of, string.sub(message, 1, MESSAGE_BYTES),
    }
  end
end
if is_over then return { '', '', letters } end
return { found[#found], found[#found - 1], letters }
