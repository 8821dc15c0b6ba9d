#!lua flags=no-writes
--[[
  Whether the results of a job are small enough to be read, as they are stored. KEYS[1] is the tag of the job's queue.

  ARGV     job id, most bytes
  Output   1, or 0 where there is more
]]
local key, most = KEYS[1] .. ':job:' .. ARGV[1], tonumber(ARGV[2])
local bytes = 0
for n = 0, tonumber(redis.call('HGET', key, 'items') or 0) - 1 do
  bytes = bytes + redis.call('HSTRLEN', key, 'out' .. n)
  if bytes > most then return 0 end
end
return 1
