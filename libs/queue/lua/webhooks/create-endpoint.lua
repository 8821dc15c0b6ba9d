#!lua
-- @include lib
--[[
  ARGV     id, creation in ms, most endpoints, fields: name, value, ...
  Output   1, or 0 where the tenant has as many as there may be
]]
local id, created, most = unpack(ARGV, 1, 3)
if redis.call('ZCARD', TAG .. ':endpoints') >= tonumber(most) then return 0 end
redis.call('ZADD', TAG .. ':endpoints', created, id)
redis.call('HSET', TAG .. ':endpoint:' .. id, 'created', created, unpack(ARGV, 4))
return 1
