-- What waits in a ready stream: what no worker was given yet. The groups of other programs do not count.
local function undelivered(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err then return '-' end
  for _, pairs_of_group in ipairs(groups) do
    local group = {}
    for i = 1, #pairs_of_group, 2 do group[pairs_of_group[i]] = pairs_of_group[i + 1] end
    if group.name == GROUP then return '(' .. group['last-delivered-id'] end
  end
  return '-'
end

-- Since when the first of them waits there, in ms; nil: none does. The ticket of a job that was cancelled counts until
-- it is read.
local function waiting_since(stream)
  local waiting = redis.call('XRANGE', stream, undelivered(stream), '+', 'COUNT', 1)
  return waiting[1] and tonumber(string.match(waiting[1][1], '^%d+'))
end
