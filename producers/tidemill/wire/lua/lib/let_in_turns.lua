-- Lets in, by turn, as many jobs as are to be taken now, and the spare tickets. Returns how many.
-- pcall: what a foreign hand has made of one queue must not stop a worker's others.
local function let_in_turns(queue, lane, wanted)
  local turns, lines = turn_keys(queue, lane)
  local first = redis.pcall('ZRANGE', turns, 0, 2, 'WITHSCORES')
  if not first[1] then return 0 end
  local stream = stream_of(queue, lane)
  local waiting = undelivered_count(stream)
  if not waiting then return 0 end
  local room, clock, let = wanted + SPARE_TICKETS - waiting, nil, 0
  while room > let and first[3] do
    -- first: '', virtual time, the tenant whose turn it is, its time, the next tenant, that one's time
    local tenant, time, weight = first[3], tonumber(first[4]), weight_of(queue, first[3])
    local line, most = lines .. tenant, room - let
    if first[6] then most = math.min(most, math.max(1, math.ceil((tonumber(first[6]) - time) * weight))) end
    local ids = redis.pcall('ZPOPMIN', line, most)
    for i = 1, #ids, 2 do add_ticket(stream, ids[i]) end
    local came = #ids / 2
    if came > 0 then clock = virtual(time + (came - 1) / weight) end
    if came == most and redis.call('EXISTS', line) == 1 then
      redis.call('ZADD', turns, virtual(time + came / weight), tenant)
    else
      redis.call('ZREM', turns, tenant)
    end
    let = let + came
    first = redis.call('ZRANGE', turns, 0, 2, 'WITHSCORES')
  end
  if not first[3] then
    redis.call('DEL', turns)
  elseif clock then
    redis.call('ZADD', turns, clock, '')
  end
  count_turns(queue, lane, -let)
  return let
end

-- The spare tickets of all lanes, which may have been lost with who was given them. Returns whether jobs are left.
local function let_in_spare(queue)
  local keys = {}
  for lane in pairs(LANES) do keys[#keys + 1] = turn_keys(queue, lane) end
  if redis.call('EXISTS', unpack(keys)) == 0 then return false end
  for lane in pairs(LANES) do let_in_turns(queue, lane, 0) end
  return redis.call('EXISTS', unpack(keys)) > 0
end
