#!lua flags=allow-oom
-- @include lib
--[[
  Reads what a fetched chunk holds that is still to be done. A slice whose last forward pass never ended (IN_FLIGHT) has its
  items' strikes counted now: whoever held it is gone.

  A chunk that better priorities of its tenant have overtaken goes back (lib.lua), unless nobody waits before its new place.

  ARGV     chunk id, tag, tenant ('': nothing overtakes it), rank, how much had overtaken when it got the tag (admit.lua);
           per slice: job id, slice number
  Output   now, slices or nothing where the chunk goes back, its place in the fair order where that is not its tag;
           a slice that has nothing to do is an empty list, else
           { packed items, packed task, tenant, first item, created, done by item, strikes by item, attempts by item,
             tokens of its answer that are in the log by item }
           where the last are lists over the slice's items, empty before its first forward pass or token
]]
local chunk, tag, tenant, rank, overtaken = unpack(ARGV, 1, 5)
local place = false

if tenant ~= '' then
  if goes_back(chunk, { tag = tag, tenant = tenant, rank = tonumber(rank), overtaken = overtaken, job = ARGV[6] }, 0) then
    return { now_ms(), false, false }
  end
  place = redis.call('HGET', TAG .. ':chunks:' .. chunk, 'due')
end

local out = {}
for i = 6, #ARGV, 2 do
  local key, s = record(ARGV[i]), ARGV[i + 1]
  local r = redis.call('HMGET', key, 'state', 'in' .. s, 'at' .. s, 'task', 'created', IN_FLIGHT .. s, 'mask' .. s,
    HAS_FAILURES, 'tenant', 'pieces')
  if r[1] and is_open(r[1]) and r[2] then
    local first, count = string.match(r[3], '^(%d+) (%d+)$')
    first, count = tonumber(first), tonumber(count)
    if r[6] then
      for from, to in string.gmatch(r[6], '(%d+)-(%d+)') do
        for n = tonumber(from), tonumber(to) do redis.call('HINCRBY', key, 'strikes' .. n, 1) end
      end
      redis.call('HDEL', key, IN_FLIGHT .. s)
      redis.call('HSET', key, HAS_FAILURES, 1)
    end
    local done, strikes, attempts, made = {}, {}, {}, {}
    if r[7] then
      for n = 1, count do done[n] = tonumber(string.sub(r[7], n, n)) end
    end
    -- HAS_FAILURES: some item of the job has strikes or failed attempts.
    if r[6] or r[8] then
      for n = 1, count do
        local f = redis.call('HMGET', key, 'strikes' .. (first + n - 1), 'attempts' .. (first + n - 1))
        strikes[n], attempts[n] = tonumber(f[1] or 0), tonumber(f[2] or 0)
      end
    end
    if r[10] then
      for n = 1, count do made[n] = tonumber(redis.call('HGET', key, 'made' .. (first + n - 1)) or 0) end
    end
    out[#out + 1] = { r[2], r[4], r[9], first, tonumber(r[5]), done, strikes, attempts, made }
  else
    out[#out + 1] = {}
  end
end
return { now_ms(), out, place }
