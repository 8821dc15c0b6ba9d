#!lua flags=allow-oom
-- @include lib
--[[
  Forgets what has expired and what nobody goes on writing, and says of which files the store still has something.

  ARGV     most files, ms until one of them is told again
  Output   ids; who has removed what the store had of one takes it off `garbage`
]]
local most, again = unpack(ARGV)
local now = now_ms()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, most)) do
  drop(id, now)
  redis.call('ZREM', DUE, id)
end
local ids = redis.call('ZRANGEBYSCORE', GARBAGE, '-inf', now, 'LIMIT', 0, most)
for _, id in ipairs(ids) do redis.call('ZADD', GARBAGE, now + again, id) end
return ids
