#!lua flags=allow-oom
-- @include lib
--[[
  Forgets a file, or one that is being written; what it has in the store is removed by whoever sweeps.

  ARGV     id, tenant, 'ready' or 'writing'
  Output   1, or 0 where the tenant has none
]]
local id, tenant, state = unpack(ARGV)
local now = now_ms()
if state == 'ready' and not is_there(id, tenant, now) then return 0 end
local r = redis.call('HMGET', record(id), 'tenant', 'state')
if r[1] ~= tenant or r[2] ~= state then return 0 end
drop(id, now)
return 1
