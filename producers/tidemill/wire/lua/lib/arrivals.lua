-- What limits the jobs of an enqueue, and whether they go behind those who wait already. `listed`: the limits of each
-- job (see limits.lua), a line each, or one for all. `settings`: of the queue, whether it has a rate and a concurrency.
local function arrivals_of(queue, listed, settings, now)
  local arrivals, each, lengths, variants, tails = {}, {}, {}, {}, {}
  for line in string.gmatch(listed .. '\n', '([^\n]*)\n') do each[#each + 1] = line end
  local own = (settings.rate and ' rq.' .. queue or '') .. (settings.concurrency and ' cq.' .. queue or '')

  local function line_of(li)
    for name in string.gmatch(li, '([rc][^ :]+)') do
      lengths[name] = lengths[name] or line_length(name)
      if lengths[name] > 0 then return name end
    end
  end

  local function limits_of_job(number) return (each[number] or each[1]) .. own end

  -- Of the job of this number, from 1 on.
  function arrivals.has_to_wait(number)
    local waits = line_of(limits_of_job(number)) ~= nil
    arrivals.some_wait = arrivals.some_wait or waits
    return waits
  end

  -- What create.lua needs to know of it. `waits`: it goes into the line.
  function arrivals.variant(job, number, waits)
    local li = limits_of_job(number)
    local key = li .. (waits and '+' or '-')
    if variants[key] then return variants[key] end
    local variant = { li = li, fields = false }
    local name = waits and line_of(li)
    if name then
      tails[name] = tails[name] or { turn = last_turn(name, now) }
      variant.tail, variant.line, variant.never = tails[name], name, NEVER
    end
    variants[key] = setmetatable(variant, { __index = job })
    return variants[key]
  end

  return arrivals
end
