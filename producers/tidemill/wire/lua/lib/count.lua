-- Counters are figures, not state: what may be wrong with one does not hold up a job.
local function count(queue, name, by)
  if by ~= 0 then redis.pcall('HINCRBY', root .. 'queue:' .. queue, name, by) end
end
