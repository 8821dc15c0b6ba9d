#!lua
-- @include lib
--[[
  Has a message delivered again, from the first step of the schedule.

  ARGV     id, destination, carrier, ms to keep
  Output   1, or 0 where there is no such message of this destination; how many of the tenant are pending, carriers of those
           that are not to be delivered any more: the one that this one replaces, or forgotten for want of room
]]
local id, destination, carrier, keep = unpack(ARGV)
local m = redis.call('HMGET', message(id), 'destination', 'at', 'state')
if m[1] ~= destination then
  -- Its record has expired before its entry in the index.
  redis.call('ZREM', index('failed', destination), id)
  return { 0, 0, dropped }
end
if m[3] == 'pending' then drop(id) end
move(id, destination, m[2], m[3], 'pending')
redis.call('HSET', message(id), 'carrier', carrier, 'step', 0)
redis.call('PEXPIRE', message(id), keep)
return { 1, (count('pending')), dropped }
