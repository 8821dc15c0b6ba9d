#!lua
--[[
  Leaves something to do for the process that delivers. KEYS[1] is the tag that all tenants share.

  ARGV     tenant, the task, most tasks of a tenant that wait, most of all
  Output   1, or 0 where as many wait as may
]]
local tasks, counts = KEYS[1] .. ':tasks', KEYS[1] .. ':tasks:waiting'
if tonumber(redis.call('HGET', counts, ARGV[1]) or 0) >= tonumber(ARGV[3]) then return 0 end
if redis.call('XLEN', tasks) >= tonumber(ARGV[4]) then return 0 end
redis.call('XADD', tasks, '*', 'task', ARGV[2])
redis.call('HINCRBY', counts, ARGV[1], 1)
return 1
