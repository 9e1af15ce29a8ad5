#!lua flags=allow-oom
-- RUNNING -> SUCCEEDED, for a batch of jobs of one stream.
-- KEYS  1 ready stream
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  then for each job: id, entry, attempt, result
-- returns a code for each job: 1 done, 0 fenced, 2 done before (a repeated call)
-- include: arguments clock root stream record fence expect alarm ticket count drop over retain event leave limits let_in permits
local now, incarnation, queue, ttl = clock(ARGV[1]), ARGV[2], ARGV[3], number(ARGV[4])
local most = number(ARGV[5])
expect_rows(6, 4)
expect_stream(KEYS[1], queue)
local codes, entries, ids, records, results = {}, {}, {}, {}, {}
local done, places, kept, held = root .. 'done:' .. queue, {}, {}, nil
expect('zset', done)

local finished_at = text_of(now)

local function succeed(key, result)
  if result == '' then
    redis.call('HSET', key, 's', 'succeeded', 'f', finished_at)
  else
    redis.call('HSET', key, 's', 'succeeded', 'f', finished_at, 'r', result)
  end
  redis.call('HDEL', key, 'b', 'b1', 'b2', 'b3', 'o', 'e', 'x', 'y', 'm', 'i')
end

for i = 6, #ARGV, 4 do
  local id, attempt = ARGV[i], ARGV[i + 2]
  local record = read(id, 'l', 'a', 'u', 'w', 'n', 'z', 'li')
  if holds(record, incarnation, attempt) then
    local last, ends = #ids + 1, end_of_record(now, whole(record[7], ttl), record[5])
    ids[last], entries[last], results[last] = id, ARGV[i + 1], ARGV[i + 3]
    records[last], kept[last] = record, ends ~= nil
    held = note_permits(held, id, record[8])
    if ends then
      places[#places + 1] = ends
      places[#places + 1] = id
    end
    codes[#codes + 1] = 1
  else
    codes[#codes + 1] = settled(record, 'succeeded', incarnation, attempt) and 2 or 0
  end
end

-- Places first: should the rest fail half-way, no record says that it is over and is in no place of retention.
if #places > 0 then redis.call('ZADD', done, unpack(places)) end
for index, id in ipairs(ids) do
  local key = root .. 'job:' .. id
  if kept[index] then succeed(key, results[index]) else redis.call('DEL', key) end
  over(id, unpack(records[index], 4, 6))
end
drop_tickets(KEYS[1], entries)
trim(queue, most, #ids)
count(queue, 'succeeded', #ids)
return_permits(held, now)
event('complete', ids)
return codes
