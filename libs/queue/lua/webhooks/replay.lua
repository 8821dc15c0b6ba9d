#!lua
-- @include lib
--[[
  Has a message delivered again, from the first step of the schedule.

  ARGV     id, destination, carrier, ms to keep
  Output   1, or 0 where there is no such message of this destination
]]
local id, destination, carrier, keep = unpack(ARGV)
local m = redis.call('HMGET', message(id), 'destination', 'at', 'state')
if m[1] ~= destination then
  -- Its record has expired before its entry in the index.
  redis.call('ZREM', index('failed', destination), id)
  return 0
end
move(id, destination, m[2], m[3], 'pending')
redis.call('HSET', message(id), 'carrier', carrier, 'step', 0)
redis.call('PEXPIRE', message(id), keep)
return 1
