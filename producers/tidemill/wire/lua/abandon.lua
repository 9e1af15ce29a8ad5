#!lua flags=allow-oom
-- RUNNING -> CANCELLED by the worker that has stopped the job on request.
-- KEYS  1 ready stream
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  then for each job: id, entry, attempt
-- returns a code for each job: 1 done, 0 fenced, 2 done before (a repeated call)
-- include: clock root fence ticket over retain finish event
local now, incarnation, queue = clock(ARGV[1]), ARGV[2], ARGV[3]
local codes, entries, ids = {}, {}, {}
for i = 6, #ARGV, 3 do
  local id, attempt = ARGV[i], ARGV[i + 2]
  local record = redis.call('HMGET', root .. 'job:' .. id, 's', 'l', 'a', 'u', 'w', 'n', 'z')
  local code = 0
  if holds(record[1], record[2], record[3], incarnation, attempt) then
    finish('cancelled', queue, id, now, { unpack(record, 4, 7) }, { ARGV[4], ARGV[5] })
    entries[#entries + 1] = ARGV[i + 1]
    ids[#ids + 1] = id
    code = 1
  elseif record[1] == 'cancelled' and record[2] == incarnation and record[3] == attempt then
    code = 2
  end
  codes[#codes + 1] = code
end
drop_tickets(KEYS[1], entries)
event('cancel', ids)
return codes
