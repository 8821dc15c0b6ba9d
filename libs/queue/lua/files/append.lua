#!lua
-- @include lib
--[[
  A piece of a file that is being written is in the store: it is the file's next one. Its writer is there.

  ARGV     id, tenant, ms until its writer is given up, number of the piece from 0, its bytes, its key in the store;
           without the last three only the time is put off
  Output   1, or 0 where the file is not being written, or has another piece of this number
]]
local id, tenant, lease, number, bytes, key = unpack(ARGV)
local r = redis.call('HMGET', record(id), 'tenant', 'state', 'bytes', 'held')
if r[1] ~= tenant or r[2] ~= 'writing' then return 0 end
redis.call('ZADD', DUE, now_ms() + lease, id)
if not key then return 1 end
local piece, there = bytes .. ' ' .. key, redis.call('LLEN', pieces_of(id))
if there ~= tonumber(number) then
  -- Sent twice.
  return redis.call('LINDEX', pieces_of(id), number) == piece and 1 or 0
end
redis.call('RPUSH', pieces_of(id), piece)
local all = tonumber(r[3]) + bytes
local held = math.max(all, tonumber(r[4]))
redis.call('HSET', record(id), 'bytes', all, 'held', held)
hold(tenant, 0, held - r[4])
return 1
