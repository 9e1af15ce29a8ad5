-- Tells one stay of a job in its state from the next: whoever finds the same mark again knows that nothing has happened
-- to the job between. Every take raises `a`; an id that is used again has another `c`.
-- The record's fields: state, l, a, v, c.
local function mark_of(record)
  local words = { record.corrupt or record[1] }
  for i = 2, 5 do words[i] = record[i] or '' end
  return table.concat(words, ' ')
end
