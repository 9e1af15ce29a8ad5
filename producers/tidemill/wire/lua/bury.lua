#!lua flags=allow-oom
-- RUNNING -> DEAD: the last attempt failed, or the error is not to be tried again. A job with a cancel flag ends as
-- CANCELLED instead.
-- KEYS  1 ready stream
-- ARGV  1 now  2 incarnation  3 queue  4 result ttl ms  5 most kept  then for each job: id, entry, attempt, error
-- returns a code for each job: 1 done (or cancelled meanwhile), 0 fenced, 2 done before (a repeated call)
-- include: arguments clock root stream record fence expect alarm ticket count drop over retain leave finish event bury limits let_in permits
local now, incarnation, queue = clock(ARGV[1]), ARGV[2], ARGV[3]
local kept = { ttl = number(ARGV[4]), most = number(ARGV[5]) }
expect_rows(6, 4)
expect_stream(KEYS[1], queue)
local codes, entries, ids, cancelled, held = {}, {}, {}, {}, nil
expect('zset', root .. 'dead:' .. queue, root .. 'done:' .. queue)
for i = 6, #ARGV, 4 do
  local id, attempt = ARGV[i], ARGV[i + 2]
  local record = read(id, 'l', 'a', 'x', 'u', 'w', 'n', 'z', 'li')
  if holds(record, incarnation, attempt) then
    if record[4] then
      finish('cancelled', queue, id, now, { unpack(record, 5, 8) }, kept)
      cancelled[#cancelled + 1] = id
    else
      bury(queue, id, now, ARGV[i + 3], { unpack(record, 5, 7) })
      held = note_permits(held, id, record[9])
      ids[#ids + 1] = id
    end
    entries[#entries + 1] = ARGV[i + 1]
    codes[#codes + 1] = 1
  else
    codes[#codes + 1] = settled(record, 'dead', incarnation, attempt) and 2 or 0
  end
end
drop_tickets(KEYS[1], entries)
return_permits(held, now)
event('bury', ids)
event('cancel', cancelled)
return codes
