#!lua flags=allow-oom
--[[
  Takes out what has been done. KEYS[1] is the tag that all tenants share.

  ARGV     id of the task, tenant
]]
local counts = KEYS[1] .. ':tasks:waiting'
if redis.call('XDEL', KEYS[1] .. ':tasks', ARGV[1]) == 0 then return end
if redis.call('HINCRBY', counts, ARGV[2], -1) <= 0 then redis.call('HDEL', counts, ARGV[2]) end
