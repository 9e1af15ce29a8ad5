-- Makes a record and its place. `job` holds the fields that all jobs of a call share; see enqueue.lua.
-- A body of up to BODY_PARTS × BODY_PART_BYTES is split, because a hash whose values are all short stays one
-- compact allocation: tests/benchmarks/memory_per_job.py shows what that saves.
local BODY_PART_BYTES, BODY_PARTS = 60, 4
local BODY_FIELDS = { 'b', 'b1', 'b2', 'b3' }

-- What the records of a call have in common is written once, and stays in front when `fields` is used again.
local function add(fields, name, value)
  if value and value ~= '' then
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
end

local function shared_fields(job, now)
  local later = job.due > now
  local fields = { 's', later and 'scheduled' or 'ready', 'q', job.queue, 't', job.task, 'c', text_of(now) }
  if job.priority ~= 'normal' then add(fields, 'p', job.priority) end
  if later then add(fields, 'd', text_of(job.due)) end
  add(fields, 'li', job.li)
  if job.line then
    fields[2] = 'scheduled'
    add(fields, 'y', 'it waits for its turn behind others')
  end
  add(fields, 'n', job.expires)
  add(fields, 'z', job.result_ttl)
  add(fields, 'o', job.options)
  add(fields, 'g', job.trace)
  return fields
end

-- Writes a body behind the first `last` fields, and returns how many there are now.
local function put_body(fields, last, body)
  local parts = math.ceil(#body / BODY_PART_BYTES)
  if parts <= 1 or parts > BODY_PARTS then
    fields[last + 1], fields[last + 2] = 'b', body
    return last + 2
  end
  for part = 1, parts do
    fields[last + 1] = BODY_FIELDS[part]
    fields[last + 2] = string.sub(body, (part - 1) * BODY_PART_BYTES + 1, part * BODY_PART_BYTES)
    last = last + 2
  end
  return last
end

-- The place comes before the record: should the place be of a foreign type, nothing has been written, and a call that
-- is repeated does not find a record that says "already there" for a job that is nowhere.
-- `tenant`: of a queue that has seen one: see turns.lua. `key`: the record's, of a caller that has it already.
local function create(job, id, unique, body, now, tenant, key)
  if not job.fields then
    job.fields = shared_fields(job, now)
    job.shared, job.stream, job.due_text = #job.fields, stream_of(job.queue, job.priority), text_of(job.due)
  end
  local turn = job.line and text_of(job.tail.turn)
  if job.line then
    redis.call('ZADD', root .. 'wheel:' .. job.queue, job.never, id)
    redis.call('ZADD', root .. 'line:' .. job.line, turn, id)
    job.tail.turn = job.tail.turn + 1
  elseif job.due > now then
    redis.call('ZADD', root .. 'wheel:' .. job.queue, job.due_text, id)
  elseif tenant then
    join_turns(job.queue, job.priority, tenant, id, now)
  else
    add_ticket(job.stream, id)
  end
  if job.expires then redis.call('ZADD', root .. 'expiring', job.expires, id) end
  if unique ~= '' then redis.call('SET', root .. 'unique:' .. unique, id) end
  local fields, last = job.fields, put_body(job.fields, job.shared, body)
  if unique ~= '' then
    fields[last + 1], fields[last + 2] = 'u', unique
    last = last + 2
  end
  if turn then
    fields[last + 1], fields[last + 2] = 'i', turn
    last = last + 2
  end
  if tenant then
    fields[last + 1], fields[last + 2] = 'te', tenant
    last = last + 2
  end
  redis.call('HSET', key or root .. 'job:' .. id, unpack(fields, 1, last))
end
