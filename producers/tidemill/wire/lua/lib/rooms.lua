-- The limits of tenants: how many jobs of one may wait for their turn, in all lanes together. A limit of its own goes
-- before that of each. What waits is what stands in its lines: there is no count that could be wrong, and no job's end
-- has to be noted. Of a queue without such limits nothing of this is made.
local function rooms_of_tenants(queue)
  local rooms, met = {}, {}

  local function meet(tenant)
    local own, all = unpack(redis.call('HMGET', root .. 'tenants:' .. queue, 'limit:' .. tenant, 'limit'))
    local found = { tenant = tenant, limit = whole(own) or whole(all), waiting = 0, came = 0 }
    if not found.limit then return found end
    for lane in pairs(LANES) do
      local _, lines = turn_keys(queue, lane)
      local waiting = redis.pcall('ZCARD', lines .. tenant)
      found.waiting = found.waiting + (type(waiting) == 'number' and waiting or 0)
    end
    return found
  end

  -- One job more of this tenant: whether it has room. The first tenant without it is `over`.
  function rooms.add(tenant)
    local found = met[tenant] or meet(tenant)
    met[tenant], found.came = found, found.came + 1
    if not found.limit or found.waiting + found.came <= found.limit then return true end
    rooms.over = rooms.over or found
    return false
  end

  -- As admission.describe: thousandths with the job that has no room, whose limit, what of it is used, the limit.
  function rooms.describe()
    local over = rooms.over
    local share = math.floor((over.waiting + over.came) * 1000 / math.max(over.limit, 1))
    return math.max(share, 1001), 'tenant:' .. over.tenant, over.waiting, over.limit, ''
  end

  return rooms
end
