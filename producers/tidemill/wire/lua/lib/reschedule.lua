-- RUNNING -> SCHEDULED, shared by retry.lua and park.lua: the record gets its new due time, then its place in the
-- wheel, then the ticket goes. A job with a cancel flag is not scheduled again: it ends here.
-- `again(key, index)` writes what differs; jobs stand in ARGV from `first`, `width` arguments each:
-- id, entry, attempt, delay ms, ...
local function reschedule(name, now, incarnation, queue, first, width, again)
  local codes, entries, ids, cancelled, soonest = {}, {}, {}, {}, nil
  for i = first, #ARGV, width do
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
        local due = now + tonumber(ARGV[i + 3])
        redis.call('HSET', key, 's', 'scheduled', 'd', due)
        redis.call('HDEL', key, 'm')
        again(key, i)
        redis.call('ZADD', KEYS[2], due, id)
        if record[7] then redis.call('ZADD', root .. 'expiring', record[7], id) end
        if not soonest or due < soonest then soonest = due end
        ids[#ids + 1] = id
      end
      entries[#entries + 1] = ARGV[i + 1]
    elseif record[1] == 'scheduled' and record[2] == incarnation and record[3] == attempt then
      code = 2
    end
    codes[#codes + 1] = code
  end
  if soonest then set_due(queue, soonest) end
  drop_tickets(KEYS[1], entries)
  event(name, ids)
  event('cancel', cancelled)
  return codes, #ids
end
