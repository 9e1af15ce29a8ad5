#!lua flags=allow-oom
-- A worker renews its lease, and learns which of its running jobs are to be cancelled and which queues are paused. Of the
-- others it learns where tickets wait that nobody was given, and how many it was given: a reader that waits for tickets
-- all the same, or was given more than it knows of, is not heard.
-- KEYS  1 workers  2 description of this worker (hash)  then the settings of its queues
-- ARGV  1 now  2 incarnation  3 lease ms  then the ids of its running jobs
-- returns {0} when the lease is gone (this incarnation was recovered: it must stop what it runs);
--         {1, ids to cancel, indexes of the settings of paused queues, of queues where tickets wait,
--         tickets that it was given and has not settled: of each stream, as many as it runs jobs and one more at most,
--         0 if its description has ended: the server was away for long}
-- include: arguments clock root
local function look(stream, most)
  -- Not the group's lag: it is unknown once a ticket was deleted. pcall: as below.
  local length = redis.pcall('XLEN', stream)
  if type(length) ~= 'number' or length == 0 then return false, 0 end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    if group[2] == 'tidemill' then
      local waiting = #redis.call('XRANGE', stream, '(' .. group[8], '+', 'COUNT', 1) > 0
      if group[6] == 0 then return waiting, 0 end
      return waiting, #redis.call('XPENDING', stream, 'tidemill', '-', '+', most, ARGV[2])
    end
  end
  return true, 0
end
expect_key(KEYS[2], root .. 'worker:' .. ARGV[2])
local now, lease_ms = clock(ARGV[1]), number(ARGV[3])
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then return { 0 } end
redis.call('ZADD', KEYS[1], now + lease_ms, ARGV[2])
local described = redis.call('PEXPIRE', KEYS[2], 10 * lease_ms)
local cancelled, paused, waiting, given = {}, {}, {}, 0
-- pcall: a record that a foreign hand has overwritten must not cost this worker its lease.
for i = 4, #ARGV do
  if redis.pcall('HEXISTS', root .. 'job:' .. ARGV[i], 'x') == 1 then cancelled[#cancelled + 1] = ARGV[i] end
end
for index = 3, #KEYS do
  if redis.pcall('HEXISTS', KEYS[index], 'paused') == 1 then
    paused[#paused + 1] = index
  else
    local is_waiting = false
    for _, lane in ipairs({ 'high', 'normal', 'low' }) do
      local waits, count = look(root .. 'ready:' .. string.sub(KEYS[index], #root + 7) .. ':' .. lane, #ARGV - 2)
      is_waiting, given = is_waiting or waits, given + count
    end
    if is_waiting then waiting[#waiting + 1] = index end
  end
end
return { 1, cancelled, paused, waiting, given, described }
