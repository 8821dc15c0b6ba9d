#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  The place in the fair order of the chunk that is fetched next: what a worker without room compares with what it holds.

  Output   its tag, nil where no chunk waits
]]
local found = redis.call('ZRANGE', TAG .. ':chunks:prioritized', 0, 0)
if #found == 0 then return nil end
local r = redis.call('HMGET', TAG .. ':chunks:' .. found[1], 'due', 'data')
return r[1] or r[2] and string.match(r[2], '"tag":([%d.e+-]+)') or nil
