#!lua
-- @include lib
--[[
  Sets fields of an endpoint that is there. One that is enabled again starts with a clean record.

  ARGV     id, fields: name, value, ...
  Output   1, or 0 where it is not there
]]
local key = TAG .. ':endpoint:' .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return 0 end
for i = 2, #ARGV, 2 do
  redis.call('HSET', key, ARGV[i], ARGV[i + 1])
  if ARGV[i] == 'disabled' and ARGV[i + 1] == '' then redis.call('HDEL', key, 'failing') end
end
return 1
