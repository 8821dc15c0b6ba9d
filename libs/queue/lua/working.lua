#!lua
-- @include lib
--[[
  A replica that has run micro-batches says so, and reads what it adds a lesson to.

  ARGV     id of the replica, ms for which a replica counts as at work after it said so
  Output   now, replicas at work, tokens a second of a replica (false where none is known), speeds by fleet size as a flat
           list of sizes and what JSON says of them
]]
local now, key = now_ms(), TAG .. ':working'
redis.call('ZADD', key, now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - ARGV[2])
redis.call('PEXPIRE', key, ARGV[2])
return { now, redis.call('ZCARD', key), redis.call('HGET', TAG .. ':limits', 'replicaRate'), redis.call('HGETALL', TAG .. ':speeds') }
