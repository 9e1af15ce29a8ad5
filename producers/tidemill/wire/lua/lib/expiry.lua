-- Wakes the schedulers if a job expires before anything else that they know of.
local function announce_expiry(expires)
  local first = redis.call('ZRANGE', root .. 'expiring', 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) >= expires then wake_scheduler() end
end
