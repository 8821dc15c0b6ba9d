#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  A page of a tenant's jobs, newest first, of at most so many looks at records: what matches may be rare.

  ARGV[1]  msgpack { fields, tenant, before?, state?, limit, looks }
  Output   the last job that was looked at ('': there are no more), jobs: { id, values of the fields, results as read.lua }
]]
local arg = cmsgpack.unpack(ARGV[1])
local from = arg.before and '(' .. arg.before or '+'
local ids = redis.call('ZREVRANGEBYLEX', TAG .. ':index:' .. arg.tenant, from, '-', 'LIMIT', 0, arg.looks)
local found, seen = {}, 0
for n, id in ipairs(ids) do
  local key = record(id)
  local r = redis.call('HMGET', key, 'state', 'items')
  seen = n
  if r[1] and (not arg.state or r[1] == arg.state) then
    local results = {}
    -- The error of a single item is its job's.
    if r[1] == 'failed' and r[2] == '1' then results = { 0, redis.call('HGET', key, 'out0') or '' } end
    found[#found + 1] = { id, redis.call('HMGET', key, unpack(arg.fields)), results }
    if #found == arg.limit then break end
  end
end
local last = (seen == #ids and #ids < arg.looks) and '' or ids[seen]
return { last, found }
