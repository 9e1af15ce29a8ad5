#!lua flags=allow-oom
-- RUNNING -> READY without spending an attempt: a worker that stops hands back what it has not finished.
-- KEYS  1 ready stream
-- ARGV  1 incarnation  then for each job: id, entry, attempt
-- returns a code for each job: 1 done, 0 fenced, 2 done before (a repeated call)
-- include: arguments root record fence expect ticket alarm expiry leave event
local incarnation = ARGV[1]
expect_rows(2, 3)
local codes, entries, ids = {}, {}, {}
expect('zset', root .. 'expiring')
for i = 2, #ARGV, 3 do
  local id, attempt = ARGV[i], ARGV[i + 2]
  local record = read(id, 'l', 'a', 'n', 'v', 'li')
  if holds(record, incarnation, attempt) then
    redis.call('XADD', KEYS[1], '*', 'j', id)
    redis.call('HSET', root .. 'job:' .. id, 's', 'ready', 'v', whole(record[5], 0) + 1)
    redis.call('HDEL', root .. 'job:' .. id, 'm', 'h')
    if record[6] then leave_limits(id, record[6]) end
    expire_again(id, record[4])
    entries[#entries + 1] = ARGV[i + 1]
    ids[#ids + 1] = id
    codes[#codes + 1] = 1
  else
    codes[#codes + 1] = settled(record, 'ready', incarnation, attempt) and 2 or 0
  end
end
drop_tickets(KEYS[1], entries)
event('release', ids)
return codes
