-- A name that may stand in a key.
local function expect_name(name)
  if #name > 64 or not string.find(name, '^[a-z0-9_.-]+$') then refuse('one is no name') end
end
