-- Redis does not roll back a script that fails half-way. So arguments that make no sense are refused before the first
-- write; all that this costs is a comparison.
-- The limit is the year 5138 in ms: sums of two stay within the fifteen digits that `whole` reads.
local LARGEST_NUMBER = 1e14

local function refuse(why) error({ err = 'ERR the arguments of a script make no sense: ' .. why }) end

-- A whole number: not 1.5, nan, inf, or a text.
local function number(argument)
  local value = tonumber(argument)
  if not value or value % 1 ~= 0 or value > LARGEST_NUMBER or value < -LARGEST_NUMBER then
    refuse('one is not a whole number')
  end
  return value
end

-- The arguments from `first` on are rows of `width`.
local function expect_rows(first, width)
  if #ARGV < first - 1 or (#ARGV - first + 1) % width ~= 0 then refuse('one is missing') end
end

-- A key and an argument say the same.
local function expect_key(key, named)
  if key ~= named then refuse('they do not fit the keys') end
end
