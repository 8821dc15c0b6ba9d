#!lua
--[[
  Makes the caller the only one who reads an outbox, or lets it stay so. KEYS[1] is the lock itself.

  ARGV     the caller's token, ms
  Output   1, or 0 where another one reads it
]]
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
