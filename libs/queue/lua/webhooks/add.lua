#!lua
-- @include lib
--[[
  Writes a message that is to be delivered, unless it is there already. One that ends its job supersedes those of the same
  job and destination that were not delivered yet.

  ARGV     id, destination, carrier, ms to keep, '1' where it ends its job, job or '', event's time in ms,
           fields of the message: name, value, ...
  Output   1 written, 0 it was there; how many of the tenant are pending, how many of them this one superseded, carriers of
           those that are not to be delivered any more: superseded, or forgotten for want of room
]]
local id, destination, carrier, keep, ends, job, at = unpack(ARGV, 1, 7)
if redis.call('EXISTS', message(id)) == 1 then return { 0, (count('pending')), 0, dropped } end
redis.call('HSET', message(id), 'destination', destination, 'carrier', carrier, 'job', job, 'at', at, 'attempts', 0,
  'step', 0, unpack(ARGV, 8))
redis.call('PEXPIRE', message(id), keep)
move(id, destination, at, nil, 'pending')
local superseded = 0
local early = TAG .. ':early:' .. destination .. ':' .. job
if ends == '1' then
  for _, before in ipairs(redis.call('SMEMBERS', early)) do
    local m = redis.call('HMGET', message(before), 'state', 'at')
    if m[1] == 'pending' then
      drop(before)
      move(before, destination, m[2], 'pending', 'superseded')
      superseded = superseded + 1
    end
  end
  redis.call('UNLINK', early)
elseif job ~= '' then
  redis.call('SADD', early, id)
  redis.call('PEXPIRE', early, keep)
end
return { 1, (count('pending')), superseded, dropped }
