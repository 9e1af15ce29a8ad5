-- A job that waits is to end as EXPIRED at its time; one that is taken leaves the index, and comes back with a retry.
local function announce_expiry(expires)
  local first = redis.call('ZRANGE', root .. 'expiring', 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) >= expires then wake_scheduler() end
end

local function expire_again(id, expires)
  if not whole(expires) then return end
  redis.call('ZADD', root .. 'expiring', expires, id)
  announce_expiry(tonumber(expires))
end
