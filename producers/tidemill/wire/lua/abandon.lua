#!lua flags=allow-oom
-- RUNNING -> CANCELLED by the worker that has stopped the job on request.
-- KEYS  1 ready stream
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  then for each job: id, entry, attempt
-- returns a code for each job: 1 done, 0 fenced, 2 done before (a repeated call)
-- include: arguments clock root stream record fence expect alarm ticket count drop over retain leave finish event
local now, incarnation, queue = clock(ARGV[1]), ARGV[2], ARGV[3]
local kept = { ttl = number(ARGV[4]), most = number(ARGV[5]) }
expect_rows(6, 3)
expect_stream(KEYS[1], queue)
local codes, entries, ids = {}, {}, {}
expect('zset', root .. 'done:' .. queue)
for i = 6, #ARGV, 3 do
  local id, attempt = ARGV[i], ARGV[i + 2]
  local record = read(id, 'l', 'a', 'u', 'w', 'n', 'z')
  if holds(record, incarnation, attempt) then
    finish('cancelled', queue, id, now, { unpack(record, 4, 7) }, kept)
    entries[#entries + 1] = ARGV[i + 1]
    ids[#ids + 1] = id
    codes[#codes + 1] = 1
  else
    codes[#codes + 1] = settled(record, 'cancelled', incarnation, attempt) and 2 or 0
  end
end
drop_tickets(KEYS[1], entries)
event('cancel', ids)
return codes
