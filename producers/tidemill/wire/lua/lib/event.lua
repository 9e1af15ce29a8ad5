-- One entry a call, not a job: a batch of a hundred costs what one costs. About a thousand entries are kept.
local function event(name, ids)
  if #ids == 0 then return end
  redis.call('XADD', root .. 'events', 'MAXLEN', '~', 1000, '*', 'event', name, 'jobs', table.concat(ids, ' '))
end
