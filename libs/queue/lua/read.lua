#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  Reads records. Who waits for a job wants nothing of it before it has ended; a summary has no results, but the error of a
  single item is its job's. Results of more than `inline` bytes are left to results.lua.

  ARGV[1]  msgpack { fields, inline, jobs }; job = { id, want }, want = all, ended (all of it, once it has ended) or summary
  Output   per job: 0: not there, 1: not ended (and only then wanted), else { values of the fields, results }
           results = first item of a run, packed results, first item, ...; false: there are more than `inline` bytes
]]
local arg = cmsgpack.unpack(ARGV[1])

local function results_of(key, items, done)
  local names, results = {}, {}
  if done == 0 then return results end
  for n = 0, items - 1 do names[n + 1] = 'out' .. n end
  for n, value in ipairs(redis.call('HMGET', key, unpack(names))) do
    if value then results[#results + 1], results[#results + 2] = n - 1, value end
  end
  return results
end

local out = {}
for i, job in ipairs(arg.jobs) do
  local key = record(job.id)
  local r = redis.call('HMGET', key, 'state', 'items', 'done', 'bytes')
  local state, items, done = r[1], tonumber(r[2]), tonumber(r[3] or 0)
  -- Records of earlier versions do not tell how large their results are.
  local bytes = tonumber(r[4] or done > 0 and arg.inline + 1 or 0)
  if not state then
    out[i] = 0
  elseif job.want == 'ended' and is_open(state) then
    out[i] = 1
  else
    local results = {}
    if job.want == 'summary' then
      if items == 1 and state == 'failed' then results = results_of(key, items, done) end
    elseif bytes > arg.inline then
      results = false
    else
      results = results_of(key, items, done)
    end
    out[i] = { redis.call('HMGET', key, unpack(arg.fields)), results }
  end
end
return out
