-- Makes a record and its place. `job` holds the fields that all jobs of a call share; see enqueue.lua.
-- A body of up to BODY_PARTS × BODY_PART_BYTES is split, because a hash whose values are all short stays one
-- compact allocation: tests/benchmarks/memory_per_job.py shows what that saves.
local BODY_PART_BYTES, BODY_PARTS = 60, 4
local BODY_FIELDS = { 'b', 'b1', 'b2', 'b3' }

local function add_body(fields, body)
  if #body > BODY_PART_BYTES * BODY_PARTS then
    fields[#fields + 1] = 'b'
    fields[#fields + 1] = body
    return
  end
  for part = 1, math.max(1, math.ceil(#body / BODY_PART_BYTES)) do
    fields[#fields + 1] = BODY_FIELDS[part]
    fields[#fields + 1] = string.sub(body, (part - 1) * BODY_PART_BYTES + 1, part * BODY_PART_BYTES)
  end
end

local function add_optional(fields, name, value)
  if value and value ~= '' then
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
end

-- The place comes before the record: should the place be of a foreign type, nothing has been written, and a call that
-- is repeated does not find a record that says "already there" for a job that is nowhere.
local function create(job, id, unique, body, now)
  local later = job.due > now
  if later then
    redis.call('ZADD', root .. 'wheel:' .. job.queue, job.due, id)
  else
    issue_ticket(job.queue, job.priority, id)
  end
  if job.expires then redis.call('ZADD', root .. 'expiring', job.expires, id) end
  if unique ~= '' then redis.call('SET', root .. 'unique:' .. unique, id) end
  local fields = { 's', later and 'scheduled' or 'ready', 'q', job.queue, 't', job.task, 'c', now }
  add_body(fields, body)
  if job.priority ~= 'normal' then add_optional(fields, 'p', job.priority) end
  if later then add_optional(fields, 'd', job.due) end
  add_optional(fields, 'n', job.expires)
  add_optional(fields, 'z', job.result_ttl)
  add_optional(fields, 'o', job.options)
  add_optional(fields, 'g', job.trace)
  add_optional(fields, 'u', unique)
  redis.call('HSET', root .. 'job:' .. id, unpack(fields))
end
