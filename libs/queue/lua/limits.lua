#!lua flags=allow-oom
-- @include lib
--[[
  What a worker tells of itself: also to a Redis that is full, for it begins in order to empty it.

  ARGV     field names and values
]]
redis.call('HSET', TAG .. ':limits', unpack(ARGV))
