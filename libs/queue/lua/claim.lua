#!lua flags=allow-oom
-- @include lib
--[[
  Reads what a fetched chunk holds that is still to be done. A slice whose last forward pass never ended (`struck`) has its
  items' strikes counted now: whoever held it is gone.

  ARGV     per slice: job id, slice number
  Output   now, slices; a slice that has nothing to do is an empty list, else
           { packed items, packed task, first item, created, done by item, strikes by item, attempts by item }
           where the last are lists over the slice's items, empty before its first forward pass
]]
local out = {}
for i = 1, #ARGV, 2 do
  local key, s = record(ARGV[i]), ARGV[i + 1]
  local r = redis.call('HMGET', key, 'state', 'in' .. s, 'at' .. s, 'task', 'created', 'struck' .. s, 'mask' .. s, 'marred')
  if r[1] and is_open(r[1]) and r[2] then
    local first, count = string.match(r[3], '^(%d+) (%d+)$')
    first, count = tonumber(first), tonumber(count)
    if r[6] then
      for from, to in string.gmatch(r[6], '(%d+)-(%d+)') do
        for n = tonumber(from), tonumber(to) do redis.call('HINCRBY', key, 'strikes' .. n, 1) end
      end
      redis.call('HDEL', key, 'struck' .. s)
      redis.call('HSET', key, 'marred', 1)
    end
    local done, strikes, attempts = {}, {}, {}
    if r[7] then
      for n = 1, count do done[n] = tonumber(string.sub(r[7], n, n)) end
    end
    -- `marred`: some item of the job has strikes or failed attempts.
    if r[6] or r[8] then
      for n = 1, count do
        local f = redis.call('HMGET', key, 'strikes' .. (first + n - 1), 'attempts' .. (first + n - 1))
        strikes[n], attempts[n] = tonumber(f[1] or 0), tonumber(f[2] or 0)
      end
    end
    out[#out + 1] = { r[2], r[4], first, tonumber(r[5]), done, strikes, attempts }
  else
    out[#out + 1] = {}
  end
end
return { now_ms(), out }
