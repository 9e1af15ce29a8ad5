#!lua flags=allow-oom
-- RUNNING -> READY for jobs that have lost their ticket; one that is READY already gets a new one. All tickets were gone
-- through since the marks were taken, and a job whose mark is the same was nowhere: see `tidemill.doctor.examination`.
-- A worker that holds a lease may be running its job: it keeps the job, and may end it without a ticket.
-- The mark changes here, so that two of these calls at once make one ticket; and with it the fence.
-- KEYS  1 workers  2 expiring
-- ARGV  1 1: repair  then for each job: id, mark
-- returns findings
-- include: arguments root record expect alarm ticket expiry leave event finding mark
local repair, lost, ids = ARGV[1] == '1', {}, {}

expect_rows(2, 2)

-- Leases that can't be read count as held.
local function is_held(incarnation) return incarnation and redis.pcall('ZSCORE', KEYS[1], incarnation) ~= false end

for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local record = examine(id, 'l', 'a', 'v', 'c', 'q', 'p', 'k', 'n', 'h', 'li')
  if record[1] and mark_of(record) == ARGV[i + 1] and not record.foreign and record[6] then
    local runs = record[1] == 'running'
    local held = runs and is_held(record[2])
    report(runs and 'running_without_ticket' or 'ready_without_ticket', id, held and record[2], repair and not held)
    if repair and not held then
      lost[#lost + 1] = { id, record }
      expect('stream', root .. 'ready:' .. record[6] .. ':' .. (LANES[record[7]] or 'normal'))
    end
  end
end
if #lost > 0 then expect('zset', KEYS[2]) end
for _, one in ipairs(lost) do
  local id, record = unpack(one)
  local key, uncounted = root .. 'job:' .. id, whole(record[4], 0) + 1
  issue_ticket(record[6], record[7], id)
  if record[1] == 'running' then
    local crashes = whole(record[8], 0) + (record[10] and 0 or 1)
    redis.call('HSET', key, 's', 'ready', 'k', crashes, 'v', uncounted)
    redis.call('HDEL', key, 'm', 'h')
    if record[11] then leave_limits(id, record[11]) end
    expire_again(id, record[9])
  else
    redis.call('HSET', key, 'a', whole(record[3], 0) + 1, 'v', uncounted)
  end
  ids[#ids + 1] = id
end
event('reinstate', ids)
return findings
