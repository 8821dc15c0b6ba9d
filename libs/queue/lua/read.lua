#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  Reads records. Who waits for a job wants nothing of it before it has ended; a list wants no results, but the error of a
  single item is its job's.

  ARGV     per record: job id, '0': all of it, '1': only once it has ended, '2': without results
  Output   per record: 0: not there, 1: not ended (and only then wanted), else its fields' values in the order below, then
           field name and value of each stored result
]]
local out = {}
for i = 1, #ARGV, 2 do
  local key = record(ARGV[i])
  local r = redis.call('HMGET', key, 'state', 'tenant', 'meta', 'created', 'started', 'ended', 'expires', 'deadline',
    'tokens', 'items', 'done', 'failed', 'error', 'out0')
  if not r[1] then
    out[#out + 1] = 0
  elseif ARGV[i + 1] == '1' and is_open(r[1]) then
    out[#out + 1] = 1
  else
    local first = table.remove(r)
    local single = tonumber(r[10]) == 1
    if ARGV[i + 1] == '2' and not (single and r[1] == 'failed') then
      -- No results.
    elseif single then
      r[#r + 1], r[#r + 2] = 'out0', first
    elseif tonumber(r[11] or 0) > 0 then
      local names = {}
      for n = 0, tonumber(r[10]) - 1 do names[n + 1] = 'out' .. n end
      for n, value in ipairs(redis.call('HMGET', key, unpack(names))) do
        if value then r[#r + 1], r[#r + 2] = names[n], value end
      end
    end
    out[#out + 1] = r
  end
end
return out
