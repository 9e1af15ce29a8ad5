#!lua
-- DEAD -> READY by hand: the counts of attempts and crashes start again, the fence does not.
-- KEYS  1 record
-- ARGV  1 now  2 id
-- returns {'ready'} | {'conflict', id of the unique key's holder} | {state} when it is not a dead letter that can run
--         ('' = unknown, 'corrupt' = its record is none of ours)
-- include: arguments clock root record ticket event unique
local now, id = clock(ARGV[1]), ARGV[2]
expect_key(KEYS[1], root .. 'job:' .. id)
local record = read(id, 'q', 'p', 'u', 'a')
if record[1] ~= 'dead' then return { record[1] or '' } end
if record.corrupt or not record[2] then return { 'corrupt' } end
local holder = record[4] and holder_of(record[4])
if holder then return { 'conflict', holder } end
issue_ticket(record[2], record[3], id)
if record[4] then redis.call('SET', root .. 'unique:' .. record[4], id) end
redis.call('HSET', KEYS[1], 's', 'ready', 'c', now, 'v', whole(record[5], 0))
redis.call('HDEL', KEYS[1], 'f', 'k', 'd', 'x', 'n', 'w')
redis.pcall('ZREM', root .. 'dead:' .. record[2], id)
event('requeue', { id })
return { 'ready' }
