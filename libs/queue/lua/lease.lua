#!lua
--[[
  Gives the caller the lease, or lets it keep it. KEYS[1] is the lease itself.

  ARGV     the caller's token, ms
  Output   1, or 0 where another one has it
]]
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
