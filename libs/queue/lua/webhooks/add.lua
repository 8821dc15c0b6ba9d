#!lua
-- @include lib
--[[
  Writes a message that is to be delivered, unless it is there already. One that ends its job supersedes those of the same
  job and destination that were not delivered yet.

  ARGV     id, destination, carrier, ms to keep, '1' where it ends its job, job or '', event's time in ms,
           fields of the message: name, value, ...
  Output   1 written, 0 it was there; then the ids that it superseded
]]
local id, destination, carrier, keep, ends, job, at = unpack(ARGV, 1, 7)
if redis.call('EXISTS', message(id)) == 1 then return { 0 } end
redis.call('HSET', message(id), 'destination', destination, 'carrier', carrier, 'job', job, 'at', at, 'attempts', 0,
  'step', 0, unpack(ARGV, 8))
redis.call('PEXPIRE', message(id), keep)
move(id, destination, at, nil, 'pending')
local out = { 1 }
if job == '' then return out end
local early = TAG .. ':early:' .. destination .. ':' .. job
if ends ~= '1' then
  redis.call('SADD', early, id)
  redis.call('PEXPIRE', early, keep)
  return out
end
for _, before in ipairs(redis.call('SMEMBERS', early)) do
  local m = redis.call('HMGET', message(before), 'state', 'at')
  if m[1] == 'pending' then
    move(before, destination, m[2], 'pending', 'superseded')
    out[#out + 1] = before
  end
end
redis.call('UNLINK', early)
return out
