-- What every terminal transition shares: the unique lock is released, waiters are told.
-- The caller has written the state. `unique`, `waiters`, `expires`: the record's fields u, w, n (false when absent).
local function over(id, unique, waiters, expires)
  if unique and redis.pcall('GET', root .. 'unique:' .. unique) == id then
    redis.call('DEL', root .. 'unique:' .. unique)
  end
  if expires then redis.pcall('ZREM', root .. 'expiring', id) end
  if waiters then
    for waiter in string.gmatch(waiters, '[^ ]+') do
      redis.call('SPUBLISH', root .. 'waiter:' .. waiter, id)
    end
  end
end
