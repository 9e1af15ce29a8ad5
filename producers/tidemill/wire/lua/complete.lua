#!lua flags=allow-oom
-- RUNNING -> SUCCEEDED, for a batch of jobs of one stream.
-- KEYS  1 ready stream  2 queue settings and counters (hash)
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  then for each job: id, entry, attempt, result
-- returns a code for each job: 1 done, 0 fenced, 2 done before (a repeated call)
-- include: clock root fence ticket over retain event
local now, incarnation, queue = clock(ARGV[1]), ARGV[2], ARGV[3]
local codes, entries, ids = {}, {}, {}
for i = 6, #ARGV, 4 do
  local id, attempt, result = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local key = root .. 'job:' .. id
  local record = redis.call('HMGET', key, 's', 'l', 'a', 'u', 'w', 'n', 'z')
  if holds(record[1], record[2], record[3], incarnation, attempt) then
    redis.call('HSET', key, 's', 'succeeded', 'f', now)
    if result ~= '' then redis.call('HSET', key, 'r', result) end
    redis.call('HDEL', key, 'b', 'b1', 'b2', 'b3', 'o', 'e', 'x', 'y', 'm')
    over(id, record[4], record[5], record[6])
    retain(queue, id, now, tonumber(record[7] or ARGV[4]), record[5], tonumber(ARGV[5]))
    entries[#entries + 1] = ARGV[i + 1]
    ids[#ids + 1] = id
    codes[#codes + 1] = 1
  elseif record[1] == 'succeeded' and record[2] == incarnation and record[3] == attempt then
    codes[#codes + 1] = 2
  else
    codes[#codes + 1] = 0
  end
end
drop_tickets(KEYS[1], entries)
if #ids > 0 then redis.call('HINCRBY', KEYS[2], 'succeeded', #ids) end
event('complete', ids)
return codes
