-- The ready stream of a call is one of the queue that its arguments name. (58 is the colon behind the queue's name.)
local function expect_stream(stream, queue)
  local first = #root + 7 -- behind 'ready:'
  local is_same = string.sub(stream, first, first + #queue - 1) == queue and string.byte(stream, first + #queue) == 58
  if not is_same then refuse('they do not fit the keys') end
end
