-- What people did by hand: who, why, when, to which jobs. One entry a call, in the same step as what it tells of, and
-- before it: unlike an event, what can't be recorded does not happen. `hand` = by, reason, operation, filter.
-- An entry of twenty-five ids is about a kilobyte, so the stream stays at a few megabytes.
local MOST_ACTIONS = 5000

local function expect_audit(key)
  expect_key(key, root .. 'audit')
  expect('stream', key)
end

local function audit(action, now, hand, ids)
  if #ids == 0 then return end
  local by, reason, operation, filter = unpack(hand)
  local entry = { 'action', action, 'at', text_of(now), 'by', by, 'reason', reason, 'operation', operation }
  for _, word in ipairs({ 'filter', filter, 'jobs', table.concat(ids, ' ') }) do entry[#entry + 1] = word end
  redis.call('XADD', root .. 'audit', 'MAXLEN', '~', MOST_ACTIONS, '*', unpack(entry))
end
