#!lua flags=allow-oom
-- RUNNING -> DEAD: the last attempt failed, or the error is not to be tried again. A job with a cancel flag ends as
-- CANCELLED instead.
-- KEYS  1 ready stream
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  then for each job: id, entry, attempt, error
-- returns a code for each job: 1 done (or cancelled meanwhile), 0 fenced, 2 done before (a repeated call)
-- include: clock root fence ticket over retain finish event bury
local now, incarnation, queue = clock(ARGV[1]), ARGV[2], ARGV[3]
local codes, entries, ids, cancelled = {}, {}, {}, {}
for i = 6, #ARGV, 4 do
  local id, attempt = ARGV[i], ARGV[i + 2]
  local key = root .. 'job:' .. id
  local record = redis.call('HMGET', key, 's', 'l', 'a', 'x', 'u', 'w', 'n', 'z')
  local code = 0
  if holds(record[1], record[2], record[3], incarnation, attempt) then
    code = 1
    if record[4] then
      finish('cancelled', queue, id, now, { unpack(record, 5, 8) }, { ARGV[4], ARGV[5] })
      cancelled[#cancelled + 1] = id
    else
      bury(queue, id, now, ARGV[i + 3], record[5], record[6], record[7])
      ids[#ids + 1] = id
    end
    entries[#entries + 1] = ARGV[i + 1]
  elseif record[1] == 'dead' and record[2] == incarnation and record[3] == attempt then
    code = 2
  end
  codes[#codes + 1] = code
end
drop_tickets(KEYS[1], entries)
event('bury', ids)
event('cancel', cancelled)
return codes
