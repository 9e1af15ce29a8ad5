-- Only the holder of the current attempt may change a running job: same incarnation, same attempt.
-- A zombie (paused past its lease, or cut off and recovered) differs in one of the two.
-- The record's fields: state, l, a.
local function holds(record, incarnation, attempt)
  return record[1] == 'running' and record[2] == incarnation and record[3] == attempt
end

-- The same call came before and its reply was lost: the attempt ended as this call would end it.
local function settled(record, state, incarnation, attempt)
  return record[1] == state and not record.corrupt and record[2] == incarnation and record[3] == attempt
end
