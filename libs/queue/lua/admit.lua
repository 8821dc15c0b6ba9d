#!lua
-- @include lib
--[[
  Writes job records and gives each slice its place in the fair order. A job that is already there is left as it is.

  ARGV[1]  msgpack { jobs, tokenCap, queueCap, heldCap, heldElsewhere, commit }: caps of a tenant's tokens, of everybody's, of
           a tenant's bytes; by tenant, the bytes it was last seen to hold in all queues
           job = { id, tenant, weight, rank, meta, task, deadlineAt?, deadlineIn?, items, tokens, reserved, held, kept,
                   slices, retention, hears, array, keyBytes?, keyMs? }
           slice = { first, count, tokens, cost, items }; meta, task and items are numbers of arguments
  ARGV[n]  packed values
  Output   msgpack: per job { verdict, places }, with a place per slice of a job that was created
           verdict 1 created, 0 existed; refused by a cap: -1 of the tenant's tokens, -2 of the queue's, -3 of its bytes

  Start-time fair queueing (Goyal et al., SIGCOMM 1996): a slice's start tag is max(V, the tenant's last finish tag), its
  finish tag start + cost / weight. A tenant has a finish tag for each rank of priority (1 high, 2 normal, 3 low), and what
  comes in pushes those of lower ranks as well: a job waits for what its tenant has of its own rank and above, and all ranks
  together take one share. `overtaken` tells how much of that came after a slice had got its tag (claim.lua).
]]
local arg = cmsgpack.unpack(ARGV[1])
local now, order = now_ms(), read_order()
local st = redis.call('HMGET', STATE, 'tokens', 'reserved', 'jobs', 'arriving', 'arrived')
local total = tonumber(st[1] or 0)

-- Per tenant: what it has outstanding, holds, its tags and index entries; read and written once.
local tenants = {}
local function tenant_of(name)
  if tenants[name] then return tenants[name] end
  local tags = {}
  for tag in string.gmatch(redis.call('HGET', TAG .. ':tags', name) or '', '%S+') do tags[#tags + 1] = tonumber(tag) end
  local first = tags[1] or 0
  tenants[name] = {
    tokens = tonumber(redis.call('HGET', TAG .. ':outstanding', name) or 0),
    held = math.max(tonumber(redis.call('HGET', TAG .. ':held', name) or 0), arg.heldElsewhere[name] or 0),
    finish = { first, tags[2] or first, tags[3] or first },
    overtaken = { 0, tags[4] or 0, tags[5] or 0 },
    addedTokens = 0,
    addedBytes = 0,
    index = {},
  }
  return tenants[name]
end

local function place(tenant, rank, cost)
  local start = math.max(order.virtual, tenant.finish[rank])
  tenant.finish[rank] = start + cost
  for lower = rank + 1, 3 do
    tenant.finish[lower] = math.max(order.virtual, tenant.finish[lower]) + cost
    tenant.overtaken[lower] = tenant.overtaken[lower] + cost
  end
  return { tag = start, priority = priority_of(order, start), overtaken = tenant.overtaken[rank] }
end

-- Lua takes about 8,000 values at once.
local function write(key, fields)
  for from = 1, #fields, 4000 do redis.call('HSET', key, unpack(fields, from, math.min(from + 3999, #fields))) end
end

local out, created, lost, tokens_added, reserved_added = {}, {}, {}, 0, 0
for i, job in ipairs(arg.jobs) do
  local id, key, tenant = job.id, record(job.id), tenant_of(job.tenant)
  local bytes = job.held + (job.keyBytes or 0)
  if redis.call('EXISTS', key) == 1 then
    out[i] = { verdict = 0 }
  elseif tenant.tokens + tenant.addedTokens + job.tokens > arg.tokenCap then
    out[i] = { verdict = -1 }
  elseif total + tokens_added + job.tokens > arg.queueCap then
    out[i] = { verdict = -2 }
  elseif tenant.held + tenant.addedBytes + bytes > arg.heldCap then
    out[i] = { verdict = -3 }
  else
    local deadline = job.deadlineIn and now + job.deadlineIn or job.deadlineAt
    local fields = {
      'state', 'queued', 'tenant', job.tenant, 'meta', ARGV[job.meta], 'task', ARGV[job.task], 'created', now,
      'items', job.items, 'tokens', job.tokens, 'reserved', job.reserved, 'held', job.held,
      'kept', job.kept, 'slices', #job.slices, 'retention', job.retention,
    }
    local function field(name, value)
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
    if job.hears ~= '' then field('hears', job.hears) end
    if job.array then field('parts', 1) end
    if deadline then
      field('deadline', deadline)
      redis.call('ZADD', TAG .. ':due', deadline, id)
    end
    local places, sent = {}, {}
    for s, slice in ipairs(job.slices) do
      places[s] = place(tenant, job.rank, slice.cost / job.weight)
      sent[s] = { tag = places[s].tag, overtaken = places[s].overtaken, count = slice.count, tokens = slice.tokens }
      field('in' .. (s - 1), ARGV[slice.items])
      field('at' .. (s - 1), slice.first .. ' ' .. slice.count)
    end
    write(key, fields)
    if job.keyBytes then
      redis.call('ZADD', TAG .. ':forget', now + job.keyMs, forget_entry(job.keyBytes, 'key', id, job.tenant))
    end
    tenant.addedTokens = tenant.addedTokens + job.tokens
    tenant.addedBytes = tenant.addedBytes + bytes
    tenant.index[#tenant.index + 1] = 0
    tenant.index[#tenant.index + 1] = id
    created[#created + 1] = id
    lost[#lost + 1] = { ulid = id, tenant = job.tenant, rank = job.rank, slices = sent }
    tokens_added = tokens_added + job.tokens
    reserved_added = reserved_added + job.reserved
    out[i] = { verdict = 1, places = places }
  end
end

if #created > 0 then
  for name, tenant in pairs(tenants) do
    if tenant.addedTokens > 0 then
      redis.call('HINCRBY', TAG .. ':outstanding', name, tenant.addedTokens)
      hold(name, tenant.addedBytes)
      local finish, overtaken = tenant.finish, tenant.overtaken
      redis.call('HSET', TAG .. ':tags', name, exact(finish[1]) .. ' ' .. exact(finish[2]) .. ' ' .. exact(finish[3]) .. ' ' ..
        exact(overtaken[2]) .. ' ' .. exact(overtaken[3]))
      redis.call('ZADD', TAG .. ':index:' .. name, unpack(tenant.index))
    end
  end
  -- Tokens a second that arrive, over about the last minute: the sum of libs/autoscaling/src/arrivals.ts.
  local faded = tonumber(st[4] or 0) * math.exp(-math.max(0, now - tonumber(st[5] or now)) / 60000)
  redis.call('HSET', STATE, 'tokens', total + tokens_added, 'reserved', tonumber(st[2] or 0) + reserved_added,
    'jobs', tonumber(st[3] or 0) + #created, 'arriving', faded + tokens_added / 60, 'arrived', now)
  -- Until the producer says that BullMQ has the chunks, the sweeper looks after them.
  redis.call('HSET', TAG .. ':commits', arg.commit, cmsgpack.pack(lost))
  redis.call('ZADD', TAG .. ':commits:due', now, arg.commit)
end
return cmsgpack.pack(out)
