-- What people did by hand: who, why, when, to which jobs. One entry a call, in the same step as what it tells of, and
-- before it: unlike an event, what can't be recorded does not happen. `hand` = by, reason, operation, filter.
-- An entry of fifty ids is about a kilobyte, so the stream stays below a few megabytes.
local MOST_ACTIONS = 5000

local function expect_audit(key)
  expect_key(key, root .. 'audit')
  expect('stream', key)
end

local function audit(action, now, hand, ids)
  if #ids == 0 then return end
  redis.call(
    'XADD', root .. 'audit', 'MAXLEN', '~', MOST_ACTIONS, '*', 'action', action, 'at', text_of(now), 'by', hand[1],
    'reason', hand[2], 'operation', hand[3], 'filter', hand[4], 'jobs', table.concat(ids, ' ')
  )
end
