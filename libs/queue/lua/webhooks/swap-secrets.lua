#!lua
-- @include lib
--[[
  Replaces a list of secrets where it is still what the caller has read.

  ARGV     the rest of the key, the list as it was read ('' where there was none), the new one
  Output   1, or 0 where somebody was faster
]]
local key = TAG .. ARGV[1]
if (redis.call('HGET', key, 'secrets') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'secrets', ARGV[3])
return 1
