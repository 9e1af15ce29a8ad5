#!lua
-- An effect in this Redis, made together with its marker: a crash leaves both or none. Redis does not roll back, so a
-- command that is refused after others were applied leaves a marker that says "unknown": the next attempt is told,
-- instead of doing the first ones again.
-- No allow-oom: what an application writes is refused by a full server, as it would be without us.
-- KEYS  1 record  2 marker
-- ARGV  1 id  2 incarnation  3 attempt  4 call (of its own for each effect)  5 ttl ms
--       then for each command: the number of its words, its words
-- returns {'made'}; {'done'}: before; {'unknown'}: begun before, or half made; {'busy', id of the job that is at it};
--         {'fenced'}; {'refused', number of the command, the server's error}: those before it are applied
-- include: arguments root record fence marker
expect_ttl()
if not holds(read(ARGV[1], 'l', 'a'), ARGV[2], ARGV[3]) then return { 'fenced' } end
local marker = read_marker()
if marker.done then return { marker.call == ARGV[4] and 'made' or 'done' } end
if is_at_it(marker) then return { 'busy', marker.job } end
if marker.call then return { 'unknown' } end
local commands, place = {}, 6
while place <= #ARGV do
  local last = place + number(ARGV[place])
  if last <= place or last > #ARGV then refuse('a command is cut off') end
  commands[#commands + 1] = { unpack(ARGV, place + 1, last) }
  place = last + 1
end
for index, words in ipairs(commands) do
  local reply = redis.pcall(unpack(words))
  if type(reply) == 'table' and reply.err then
    if index > 1 then mark_begun('unknown') end
    return { 'refused', index, reply.err }
  end
end
write_marker('done', '')
return { 'made' }
