#!lua flags=allow-oom
-- Does every lease have its description, and the reverse? A description that ends by itself is that of a dead worker; it
-- may end a little before a scheduler comes to the lease.
-- KEYS  1 workers
-- ARGV  1 now  2 1: repair  3 how long a lease may be over ms  4 lease ms of a worker without description
--       then incarnations
-- returns findings
-- include: arguments clock root finding
local now, repair, late_ms, lease_ms = clock(ARGV[1]), ARGV[2] == '1', number(ARGV[3]), number(ARGV[4])

local function is_to_be_recovered(lease) return tonumber(lease) <= now and tonumber(lease) > now - late_ms end

for i = 5, #ARGV do
  local incarnation = ARGV[i]
  local key, lease = root .. 'worker:' .. incarnation, redis.pcall('ZSCORE', KEYS[1], incarnation)
  if type(lease) == 'string' and not is_to_be_recovered(lease) and redis.call('EXISTS', key) == 0 then
    report('worker_not_described', incarnation, '', repair)
    if repair then
      redis.call('HSET', key, 'lease_ms', lease_ms)
      redis.call('PEXPIRE', key, 10 * lease_ms)
    end
  elseif lease == false and redis.call('PTTL', key) == -1 then
    report('worker_without_lease', incarnation, '', repair)
    if repair then redis.call('DEL', key) end
  end
end
return findings
