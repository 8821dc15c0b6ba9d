#!lua flags=allow-oom
-- @include lib
--[[
  The chunk that is fetched next: what a worker without room compares with what it holds. Chunks that stand in front of it
  although better priorities of their tenant have overtaken them go back first (lib.lua), so many of them at a time.

  Output   its place in the fair order, its tenant and its rank; nil where no chunk waits
]]
local MOST = 16
local waiting = TAG .. ':chunks:prioritized'

for _ = 1, MOST do
  local chunk = redis.call('ZRANGE', waiting, 0, 0)[1]
  local r = chunk and redis.call('HMGET', TAG .. ':chunks:' .. chunk, 'due', 'data')
  if not r or not r[2] then return nil end
  local data = cjson.decode(r[2])
  local turn, job = data.turn, data.slices[1][1]
  if not turn then return { exact(data.tag), redis.call('HGET', record(job), 'tenant') or '', 1 } end
  local priority = goes_back(chunk, { tag = data.tag, tenant = turn.tenant, rank = turn.rank, overtaken = turn.overtaken, job = job }, 1)
  if not priority then return { r[1] or exact(data.tag), turn.tenant, turn.rank } end
  redis.call('ZADD', waiting, exact(priority * PRIORITY_STEP), chunk)
end
return nil
