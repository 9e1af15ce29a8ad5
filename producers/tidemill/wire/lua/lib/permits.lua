-- Permits of concurrency limits belong to jobs that run: every arrow that leaves RUNNING gives them back, and lets in
-- those that waited for them; and those that wait for a rate, since every moment in which nobody does is lost to it.
-- `held`: the jobs by their limits; nil until one with limits comes: limits that are off cost nothing.
local function note_permits(held, id, li)
  if not li then return held end
  held = held or {}
  local ids = held[li] or {}
  held[li] = ids
  ids[#ids + 1] = id
  return held
end

local function return_permits(held, now)
  if not held then return end
  local limits, freed = limits_of(now), {}
  for li, ids in pairs(held) do
    for name in string.gmatch(li, '([rc][^ :]+)') do
      freed[name] = true
      if string.sub(name, 1, 1) == 'c' then redis.pcall('ZREM', root .. 'permits:' .. name, unpack(ids)) end
    end
  end
  for name in pairs(freed) do let_in(limits, name, now) end
end
