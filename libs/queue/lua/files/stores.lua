#!lua
-- @include lib
--[[
  A replica tells the mark of the store that it keeps files in.

  ARGV     mark, ms after which one that nobody has told is forgotten
  Output   how many different ones there are
]]
local key, now = TAG .. ':stores', now_ms()
redis.call('ZADD', key, now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - ARGV[2])
redis.call('PEXPIRE', key, ARGV[2])
return redis.call('ZCARD', key)
