-- What a check has found: a row {kind, subject, what was seen, 1 if it was mended}. See `tidemill.doctor` for the kinds.
local findings = {}

local function report(kind, subject, seen, mended)
  findings[#findings + 1] = { kind, subject, seen or '', mended and 1 or 0 }
end
