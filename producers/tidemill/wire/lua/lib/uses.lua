-- How often versions of templates are used, by the day and by the hour. An estimate for the last 24 hours, or the last
-- hour, is what this day has, and of the one before the part that is not over: its uses are taken to lie evenly in it.
local DAY_MS, HOUR_MS = 86400000, 3600000

local function day_key(day) return root .. 'hot:' .. text_of(day) end

local function hour_key(hour) return root .. 'hits:' .. text_of(hour) end
