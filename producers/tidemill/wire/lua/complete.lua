#!lua flags=allow-oom
-- RUNNING -> SUCCEEDED, for a batch of jobs of one stream.
-- KEYS  1 ready stream
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  then for each job: id, entry, attempt, result
-- returns a code for each job: 1 done, 0 fenced, 2 done before (a repeated call)
-- include: arguments clock root stream record fence expect ticket count drop over retain event
local now, incarnation, queue, ttl = clock(ARGV[1]), ARGV[2], ARGV[3], number(ARGV[4])
local most = number(ARGV[5])
expect_rows(6, 4)
expect_stream(KEYS[1], queue)
local codes, entries, ids = {}, {}, {}
expect('zset', root .. 'done:' .. queue)

local function succeed(id, result, unique, waiters, expires, own_ttl)
  local key = root .. 'job:' .. id
  if retain(queue, id, now, whole(own_ttl, ttl), waiters) then
    if result == '' then
      redis.call('HSET', key, 's', 'succeeded', 'f', now)
    else
      redis.call('HSET', key, 's', 'succeeded', 'f', now, 'r', result)
    end
    redis.call('HDEL', key, 'b', 'b1', 'b2', 'b3', 'o', 'e', 'x', 'y', 'm')
  else
    redis.call('DEL', key)
  end
  over(id, unique, waiters, expires)
end

for i = 6, #ARGV, 4 do
  local id, attempt = ARGV[i], ARGV[i + 2]
  local record = read(id, 'l', 'a', 'u', 'w', 'n', 'z')
  if holds(record, incarnation, attempt) then
    succeed(id, ARGV[i + 3], unpack(record, 4, 7))
    entries[#entries + 1] = ARGV[i + 1]
    ids[#ids + 1] = id
    codes[#codes + 1] = 1
  else
    codes[#codes + 1] = settled(record, 'succeeded', incarnation, attempt) and 2 or 0
  end
end
drop_tickets(KEYS[1], entries)
trim(queue, most, #ids)
count(queue, 'succeeded', #ids)
event('complete', ids)
return codes
