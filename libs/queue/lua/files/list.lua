#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  A page of a tenant's files, by the time at which they were begun.

  ARGV     tenant, purpose ('': any), 'asc' or 'desc', the id that they come after (''), how many are looked at
  Output   the last id that was looked at ('': there are no more); id and fields of each
]]
local tenant, purpose, order, after, looks = unpack(ARGV)
local key = index(tenant, purpose ~= '' and purpose or nil)
local ids
if order == 'desc' then
  ids = redis.call('ZRANGE', key, after == '' and '+' or '(' .. after, '-', 'BYLEX', 'REV', 'LIMIT', 0, looks)
else
  ids = redis.call('ZRANGE', key, after == '' and '-' or '(' .. after, '+', 'BYLEX', 'LIMIT', 0, looks)
end
local now, found = now_ms(), {}
for _, id in ipairs(ids) do
  if is_there(id, tenant, now) then found[#found + 1] = { id, redis.call('HGETALL', record(id)) } end
end
return { #ids < tonumber(looks) and '' or ids[#ids], found }
