#!lua
-- @include lib
--[[
  Writes job records and gives each slice its place in the fair order. A job that is already there is left as it is.

  ARGV[1]  msgpack { jobs, slices, tenants, tokenCap, queueCap, heldCap, commit }: caps of a tenant's tokens, of everybody's,
           of a tenant's bytes. Each of the first three is a map of lists with a place per job, slice or tenant:
           jobs     id, tenant (which), rank, meta, task, deadlineAt, deadlineIn (0: none), items, tokens, reserved, held, kept,
                    slices (how many), retention, subscribed, array, keyBytes, keyMs (0: no key),
                    answers (each item is a slice, and a chunk, of its own)
           slices   of all jobs: first, count, tokens, cost, answer (tokens it is charged for, in its cost), items; meta, task and items are numbers of arguments
           tenants  name, weight, held (bytes it was last seen to hold in all queues)
  ARGV[n]  packed values
  Output   msgpack { decision, tag, priority, overtaken }: a decision per job, the others per slice of jobs that were created
           decision 1 created, 0 existed; refused by a cap: -1 of the tenant's tokens, -2 of the queue's, -3 of its bytes

  Start-time fair queueing (Goyal et al., SIGCOMM 1996): a slice's start tag is max(V, the tenant's last finish tag), its
  finish tag start + cost / weight. A tenant has a finish tag for each rank of priority (1 high, 2 normal, 3 low), and what
  comes in pushes those of lower ranks as well: a job waits for what its tenant has of its own rank and above, and all ranks
  together take one share. `overtaken` tells how much of that came after a slice had got its tag (claim.lua). Answers that were
  shorter than they were charged for move finish tags back (lib.lua), so that of better ranks the latest start tag counts too.
]]
local arg = cmsgpack.unpack(ARGV[1])
local now, order = now_ms(), read_order()
local st = redis.call('HMGET', STATE, 'tokens', 'reserved', 'jobs', 'arriving', 'arrived')
local total = tonumber(st[1] or 0)

-- Per tenant: what it has outstanding, holds, its tags and index entries; read and written once.
local tenants = {}
for t, name in ipairs(arg.tenants.name) do
  local tags = {}
  for tag in string.gmatch(redis.call('HGET', TAG .. ':tags', name) or '', '%S+') do tags[#tags + 1] = tonumber(tag) end
  local first = tags[1] or 0
  tenants[t] = {
    name = name,
    weight = arg.tenants.weight[t],
    tokens = tonumber(redis.call('HGET', TAG .. ':outstanding', name) or 0),
    held = math.max(tonumber(redis.call('HGET', TAG .. ':held', name) or 0), arg.tenants.held[t]),
    finish = { first, tags[2] or first, tags[3] or first },
    overtaken = { 0, tags[4] or 0, tags[5] or 0 },
    latest = { tags[6] or 0, tags[7] or 0 },
    addedTokens = 0,
    addedBytes = 0,
    index = {},
  }
end

local out = { decision = {}, tag = {}, priority = {}, overtaken = {} }
-- What the sweeper needs to enqueue it, should the producer not live to do so.
local lost = { id = {}, tenant = {}, rank = {}, slices = {}, alone = {}, count = {}, tokens = {}, tag = out.tag, overtaken = out.overtaken }
local places, created = 0, 0

local function place(tenant, rank, cost)
  local start = math.max(order.virtual, tenant.finish[rank], tenant.latest[rank - 1] or 0)
  tenant.finish[rank] = start + cost
  for lower = rank, 2 do tenant.latest[lower] = math.max(tenant.latest[lower], start) end
  for lower = rank + 1, 3 do
    tenant.finish[lower] = math.max(order.virtual, tenant.finish[lower]) + cost
    tenant.overtaken[lower] = tenant.overtaken[lower] + cost
  end
  places = places + 1
  out.tag[places], out.priority[places], out.overtaken[places] = start, priority_of(order, start), tenant.overtaken[rank]
end

-- Lua takes about 8,000 values at once.
local function write(key, fields)
  for from = 1, #fields, 4000 do redis.call('HSET', key, unpack(fields, from, math.min(from + 3999, #fields))) end
end

local jobs, slices, tokens_added, reserved_added, slice = arg.jobs, arg.slices, 0, 0, 0
for i, id in ipairs(jobs.id) do
  local key, tenant, tokens, count = record(id), tenants[jobs.tenant[i]], jobs.tokens[i], jobs.slices[i]
  local bytes = jobs.held[i] + jobs.keyBytes[i]
  local decision = 1
  if redis.call('EXISTS', key) == 1 then
    decision = 0
  elseif tenant.tokens + tenant.addedTokens + tokens > arg.tokenCap then
    decision = -1
  elseif total + tokens_added + tokens > arg.queueCap then
    decision = -2
  elseif tenant.held + tenant.addedBytes + bytes > arg.heldCap then
    decision = -3
  else
    local rank = jobs.rank[i]
    local deadline = jobs.deadlineIn[i] > 0 and now + jobs.deadlineIn[i] or jobs.deadlineAt[i]
    local fields = {
      'state', 'queued', 'tenant', tenant.name, 'meta', ARGV[jobs.meta[i]], 'task', ARGV[jobs.task[i]], 'created', now,
      'items', jobs.items[i], 'tokens', tokens, 'reserved', jobs.reserved[i], 'held', jobs.held[i], 'kept', jobs.kept[i],
      'slices', count, 'retention', jobs.retention[i],
    }
    local n = #fields
    local function field(name, value)
      fields[n + 1], fields[n + 2] = name, value
      n = n + 2
    end
    if jobs.subscribed[i] ~= '' then field(SUBSCRIBED, jobs.subscribed[i]) end
    if jobs.array[i] then field('parts', 1) end
    field('turn', '')
    local turn = n
    if jobs.answers[i] then field('place', rank .. ' ' .. exact(tenant.weight)) end
    if deadline > 0 then
      field('deadline', deadline)
      redis.call('ZADD', TAG .. ':due', deadline, id)
    end
    for s = 0, count - 1 do
      local at = slice + s + 1
      place(tenant, rank, slices.cost[at] / tenant.weight)
      if s == 0 then fields[turn] = exact(out.tag[places]) .. ' ' .. rank .. ' ' .. exact(out.overtaken[places]) end
      field('in' .. s, ARGV[slices.items[at]])
      field('at' .. s, slices.first[at] .. ' ' .. slices.count[at])
      if jobs.answers[i] then field('charge' .. s, slices.answer[at]) end
      lost.count[places], lost.tokens[places] = slices.count[at], slices.tokens[at]
    end
    write(key, fields)
    if jobs.keyBytes[i] > 0 then
      redis.call('ZADD', TAG .. ':forget', now + jobs.keyMs[i], forget_entry(jobs.keyBytes[i], 'key', id, tenant.name))
    end
    created = created + 1
    lost.id[created], lost.tenant[created], lost.rank[created], lost.slices[created] = id, tenant.name, rank, count
    lost.alone[created] = jobs.answers[i]
    tenant.addedTokens = tenant.addedTokens + tokens
    tenant.addedBytes = tenant.addedBytes + bytes
    tenant.index[#tenant.index + 1] = 0
    tenant.index[#tenant.index + 1] = id
    tokens_added = tokens_added + tokens
    reserved_added = reserved_added + jobs.reserved[i]
  end
  out.decision[i] = decision
  slice = slice + count
end

if created > 0 then
  for _, tenant in ipairs(tenants) do
    if #tenant.index > 0 then
      local name, finish, overtaken, latest = tenant.name, tenant.finish, tenant.overtaken, tenant.latest
      redis.call('HINCRBY', TAG .. ':outstanding', name, tenant.addedTokens)
      hold(name, tenant.addedBytes)
      redis.call('HSET', TAG .. ':tags', name, exact(finish[1]) .. ' ' .. exact(finish[2]) .. ' ' .. exact(finish[3]) .. ' ' ..
        exact(overtaken[2]) .. ' ' .. exact(overtaken[3]) .. ' ' .. exact(latest[1]) .. ' ' .. exact(latest[2]))
      redis.call('ZADD', TAG .. ':index:' .. name, unpack(tenant.index))
    end
  end
  -- Tokens a second that arrive, over about the last minute: the sum of libs/autoscaling/src/arrivals.ts.
  local faded = tonumber(st[4] or 0) * math.exp(-math.max(0, now - tonumber(st[5] or now)) / 60000)
  redis.call('HSET', STATE, 'tokens', total + tokens_added, 'reserved', tonumber(st[2] or 0) + reserved_added,
    'jobs', tonumber(st[3] or 0) + created, 'arriving', faded + tokens_added / 60, 'arrived', now)
  -- Until the producer says that BullMQ has the chunks, the sweeper looks after them.
  redis.call('HSET', TAG .. ':commits', arg.commit, cmsgpack.pack(lost))
  redis.call('ZADD', TAG .. ':commits:due', now, arg.commit)
end
return cmsgpack.pack(out)
