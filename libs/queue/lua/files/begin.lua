#!lua
-- @include lib
--[[
  Makes room for a file that is about to be written. Nobody sees it until it is finished.

  ARGV     the random end of its ULID, tenant, purpose, name, bytes set aside, ms until its writer is given up,
           most files and bytes that the tenant may have
  Output   its id and ''; or '' and of what there is no more room, 'files' or 'bytes'
]]
local random, tenant, purpose, name, reserved, lease, most_files, most_bytes = unpack(ARGV)
local held = redis.call('HMGET', held_by(tenant), 'files', 'bytes')
if tonumber(held[1] or 0) + 1 > tonumber(most_files) then return { '', 'files' } end
if tonumber(held[2] or 0) + tonumber(reserved) > tonumber(most_bytes) then return { '', 'bytes' } end

local now = now_ms()
-- A ULID begins with the time, in Crockford's base 32; Redis's, so that ids of all replicas are in one order.
local DIGITS = '0123456789abcdefghjkmnpqrstvwxyz'
local rest, id = now, random
for _ = 1, 10 do
  local digit = rest % 32
  id = string.sub(DIGITS, digit + 1, digit + 1) .. id
  rest = (rest - digit) / 32
end
id = 'file-' .. id
redis.call('HSET', record(id), 'tenant', tenant, 'state', 'writing', 'purpose', purpose, 'name', name, 'created', now,
  'expires', '', 'bytes', 0, 'held', reserved)
redis.call('ZADD', DUE, now + lease, id)
hold(tenant, 1, reserved)
return { id, '' }
