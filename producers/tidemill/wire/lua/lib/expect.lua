-- Redis does not roll back a script that fails half-way. So a key of a foreign type is found before the first write.
-- Only keys that are added to need this: taking something out of a foreign key is nothing to be done.
local function expect(kind, ...)
  for _, key in ipairs({ ... }) do
    local found = redis.call('TYPE', key).ok
    if found ~= kind and found ~= 'none' then
      error({ err = 'WRONGTYPE ' .. key .. ' holds a ' .. found .. ', not a ' .. kind })
    end
  end
end
