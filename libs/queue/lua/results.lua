#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  A page of a job's results, in the order in which they are stored: whole runs of items, up to `bytes` and at least one.

  ARGV     job id, first item, bytes
  Output   where the next page begins (-1: this is the last), first item of a run, packed results, first item, ...;
           0 where the job is not there
]]
local key, from, most = record(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local items = tonumber(redis.call('HGET', key, 'items') or nil)
if not items then return 0 end
local page, bytes = { -1 }, 0
for n = from, items - 1 do
  local value = redis.call('HGET', key, 'out' .. n)
  if value then
    bytes = bytes + #value
    if #page > 1 and bytes > most then
      page[1] = n
      break
    end
    page[#page + 1], page[#page + 2] = n, value
  end
end
return page
