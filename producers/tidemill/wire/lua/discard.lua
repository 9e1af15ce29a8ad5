#!lua flags=allow-oom
-- Removes dead letters by hand, before retention would.
-- KEYS  1 audit  2 dead letters (zset)  3.. records
-- ARGV  1 now  2 by  3 reason  4 operation  5 filter  6 queue
--       then for each job, in the order of the records: id, when it died ('' = whenever it was)
-- returns for each job 'gone' | 'changed': it has died again since | its state when it is no dead letter of this queue
--         ('' = unknown)
-- include: arguments clock root record expect event audit
local now, hand, queue = clock(ARGV[1]), { unpack(ARGV, 2, 5) }, ARGV[6]
local answers, ids = {}, {}
expect_rows(7, 2)
expect_audit(KEYS[1])
expect_key(KEYS[2], root .. 'dead:' .. queue)

-- A corrupt record counts as a dead letter where it stands among them: nobody else would remove it before its time.
local function answer_for(id, record, died)
  if record[1] ~= 'dead' then return record[1] or '' end
  if record.corrupt then return redis.pcall('ZSCORE', KEYS[2], id) and 'gone' or 'corrupt' end
  if record[2] ~= queue then return 'dead' end
  return died ~= '' and died ~= record[3] and 'changed' or 'gone'
end

for i = 7, #ARGV, 2 do
  local id = ARGV[i]
  expect_key(KEYS[(i - 1) / 2], root .. 'job:' .. id)
  local answer = answer_for(id, read(id, 'q', 'f'), ARGV[i + 1])
  if answer == 'gone' then ids[#ids + 1] = id end
  answers[#answers + 1] = answer
end

audit('purge', now, hand, ids)
for _, id in ipairs(ids) do
  redis.call('DEL', root .. 'job:' .. id)
  redis.pcall('ZREM', KEYS[2], id)
end
event('discard', ids)
return answers
