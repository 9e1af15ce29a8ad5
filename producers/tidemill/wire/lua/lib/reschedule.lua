-- RUNNING -> SCHEDULED, shared by retry.lua and park.lua: the agenda and the wheel first, then the record, then the
-- tickets go. A job with a cancel flag is not scheduled again: it ends here.
-- `more(index, now, uncounted)` returns the fields to write that differ; jobs stand in ARGV from 6 on, `width` arguments
-- each: id, entry, attempt, delay ms, ...
local function reschedule(name, width, more)
  local now, incarnation, queue = clock(ARGV[1]), ARGV[2], ARGV[3]
  local kept = { ttl = number(ARGV[4]), most = number(ARGV[5]) }
  expect_rows(6, width)
  expect_stream(KEYS[1], queue)
  expect_key(KEYS[2], root .. 'wheel:' .. queue)
  local codes, entries, held, ids, cancelled, places, soonest, permits = {}, {}, {}, {}, {}, {}, nil, nil
  expect('zset', KEYS[2], root .. 'agenda', root .. 'done:' .. queue, root .. 'expiring')
  for i = 6, #ARGV, width do
    local id, attempt = ARGV[i], ARGV[i + 2]
    local record = read(id, 'l', 'a', 'x', 'u', 'w', 'n', 'z', 'v', 'li')
    if holds(record, incarnation, attempt) then
      local due = now + number(ARGV[i + 3])
      codes[#codes + 1] = 1
      entries[#entries + 1] = ARGV[i + 1]
      held[#held + 1] = { i, due, record }
      if not record[4] then
        if not soonest or due < soonest then soonest = due end
        places[#places + 1] = due
        places[#places + 1] = id
      end
    else
      codes[#codes + 1] = settled(record, 'scheduled', incarnation, attempt) and 2 or 0
    end
  end
  if soonest then
    set_due(queue, soonest)
    redis.call('ZADD', KEYS[2], unpack(places))
  end
  for _, one in ipairs(held) do
    local i, due, record = unpack(one)
    local id, key = ARGV[i], root .. 'job:' .. ARGV[i]
    if record[4] then
      finish('cancelled', queue, id, now, { unpack(record, 5, 8) }, kept)
      cancelled[#cancelled + 1] = id
    else
      redis.call('HSET', key, 's', 'scheduled', 'd', due, unpack(more(i, now, whole(record[9], 0))))
      redis.call('HDEL', key, 'm', 'h', 'i')
      permits = note_permits(permits, id, record[10])
      expire_again(id, record[7])
      ids[#ids + 1] = id
    end
  end
  drop_tickets(KEYS[1], entries)
  return_permits(permits, now)
  event(name, ids)
  event('cancel', cancelled)
  return codes, #ids
end
