-- The labels of a template, in one field: `canary 3 <digest> 10,stable 2 <digest> 90`: name, version, weight.
local MOST_LABELS = 32

local function read_labels()
  local labels, text = {}, redis.call('HGET', KEYS[1], 'labels') or ''
  for label, version, digest, weight in string.gmatch(text, '([^ ,]+) (%d+) (%x+) (%d+)') do
    labels[#labels + 1] = { label, version, digest, weight }
  end
  return labels
end

-- The versions that have one, as a set.
local function labelled_versions()
  local found = {}
  for _, label in ipairs(read_labels()) do found[label[2]] = true end
  return found
end
