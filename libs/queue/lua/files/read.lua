#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  ARGV     id, tenant, '1' to have the pieces as well
  Output   fields and pieces of the file; empty where the tenant has no such file
]]
local id, tenant, whole = unpack(ARGV)
if not is_there(id, tenant, now_ms()) then return {} end
return { redis.call('HGETALL', record(id)), whole == '1' and redis.call('LRANGE', pieces_of(id), 0, -1) or {} }
