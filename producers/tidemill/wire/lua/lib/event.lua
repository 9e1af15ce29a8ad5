-- One entry a call, not a job: a batch of a hundred costs what one costs. About a thousand entries are kept.
-- An event is news, not state: what may be wrong with the stream does not hold up a job.
local function event(name, ids)
  if #ids == 0 then return end
  redis.pcall('XADD', root .. 'events', 'MAXLEN', '~', 1000, '*', 'event', name, 'jobs', table.concat(ids, ' '))
end
