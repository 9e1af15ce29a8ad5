-- How many replicas follow this server and are up to date but for what is under way: those that WAIT counts. One that
-- is still loading its first copy is none of them.
local function online_replicas()
  local _, count = string.gsub(redis.call('INFO', 'replication'), 'slave%d+:[^\r]*state=online', '')
  return count
end
