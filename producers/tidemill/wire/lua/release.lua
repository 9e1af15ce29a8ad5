#!lua flags=allow-oom
-- RUNNING -> READY without spending an attempt: a worker that stops hands back what it has not finished.
-- KEYS  1 ready stream
-- ARGV  1 now  2 incarnation  then for each job: id, entry, attempt
-- returns a code for each job: 1 done, 0 fenced, 2 done before (a repeated call)
-- include: root fence ticket event
local incarnation = ARGV[2]
local codes, entries, ids = {}, {}, {}
for i = 3, #ARGV, 3 do
  local id, attempt = ARGV[i], ARGV[i + 2]
  local key = root .. 'job:' .. id
  local record = redis.call('HMGET', key, 's', 'l', 'a', 'n')
  if holds(record[1], record[2], record[3], incarnation, attempt) then
    redis.call('XADD', KEYS[1], '*', 'j', id)
    redis.call('HSET', key, 's', 'ready')
    redis.call('HINCRBY', key, 'v', 1)
    redis.call('HDEL', key, 'm')
    if record[4] then redis.call('ZADD', root .. 'expiring', record[4], id) end
    entries[#entries + 1] = ARGV[i + 1]
    ids[#ids + 1] = id
    codes[#codes + 1] = 1
  elseif record[1] == 'ready' and record[2] == incarnation and record[3] == attempt then
    codes[#codes + 1] = 2
  else
    codes[#codes + 1] = 0
  end
end
drop_tickets(KEYS[1], entries)
event('release', ids)
return codes
