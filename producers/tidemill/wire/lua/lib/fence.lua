-- Only the holder of the current attempt may change a running job: same incarnation, same attempt.
-- A zombie (paused past its lease, or cut off and recovered) differs in one of the two.
local function holds(state, lease, attempt, incarnation, given_attempt)
  return state == 'running' and lease == incarnation and attempt == given_attempt
end
