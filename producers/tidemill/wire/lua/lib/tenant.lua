-- Tenants by their digests, as `Keys.tenant` makes them; NO_TENANT stands for jobs without one in a queue that has seen
-- one: these share, too.
local DIGEST_BYTES, NO_TENANT = 16, '-'

-- `tenants`: '' (none) | a digest, for all of so many jobs | a digest of each, joined (of '-' alone: none).
local function expect_tenants(tenants, jobs)
  local fits = #tenants <= DIGEST_BYTES or #tenants == jobs * DIGEST_BYTES
  if not fits or #tenants % DIGEST_BYTES ~= 0 or string.find(tenants, '[^0-9a-f-]') then
    refuse('tenants are no digests')
  end
end

-- Of the job at this place, counted from 0.
local function tenant_of(tenants, place)
  if tenants == '' then return NO_TENANT end
  local first = #tenants > DIGEST_BYTES and place * DIGEST_BYTES or 0
  local tenant = string.sub(tenants, first + 1, first + DIGEST_BYTES)
  return string.sub(tenant, 1, 1) == '-' and NO_TENANT or tenant
end
