-- The prefix with its hash tag, as `tm:{0}:`. Keys that a script derives from it lie in the slot of KEYS[1].
local root = string.match(KEYS[1], '^.-{.-}:')
