#!lua flags=allow-oom
-- @include lib
--[[
  Takes back what begin.lua wrote of items that did not come to anything here: they are returned, and have ended no process.

  ARGV[1]  msgpack { chunks, runs } as begin.lua has them
  Output   per run 1: the mark is gone, -1: the lock is lost
]]
local arg = cmsgpack.unpack(ARGV[1])
local chunks, runs, out = arg.chunks, arg.runs, {}
for i, id in ipairs(runs.job) do
  local chunk, key, mark_field = runs.chunk[i], record(id), IN_FLIGHT .. runs.slice[i]
  out[i] = holds(chunks.id[chunk], chunks.token[chunk]) and 1 or -1
  local marks = out[i] == 1 and redis.call('HGET', key, mark_field)
  if marks then
    local from, to = string.find(marks, ' ' .. runs.first[i] .. '-' .. runs.last[i] .. ';', 1, true)
    local rest = from and string.sub(marks, 1, from - 1) .. string.sub(marks, to + 1) or marks
    if rest == '' then redis.call('HDEL', key, mark_field) else redis.call('HSET', key, mark_field, rest) end
  end
end
return out
