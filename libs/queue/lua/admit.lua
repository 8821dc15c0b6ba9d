#!lua
-- @include lib
--[[
  Writes job records and gives each slice its place in the fair order. A job that is already there is left as it is.

  ARGV[1]  msgpack { jobs, tenantCap, queueCap, quantum, maxPriority, commit id }
           job = { id, tenant, weight, meta, task, deadlineAt|0, deadlineIn|0, items, tokens, reserved, slices,
                   retention, hears, array }
           slice = { first item, item count, tokens, items }; meta, task and items are numbers of arguments
  ARGV[n]  packed values
  Output   per job: { verdict, tag, priority, tag, priority, ... } with a pair per slice
           verdict 1 created, 0 existed, -1 the tenant's cap, -2 the queue's cap

  Start-time fair queueing (Goyal et al., SIGCOMM 1996): a slice's start tag is max(V, the tenant's last finish tag), its
  finish tag start + tokens / weight. BullMQ serves low priorities first, so the priority is the start tag in quanta
  above `base`. Quanta run out after maxPriority of them; then waiting chunks are rebased to the present V.
]]
local arg = cmsgpack.unpack(ARGV[1])
local jobs, tenant_cap, queue_cap, quantum, max_priority, commit = arg[1], arg[2], arg[3], arg[4], arg[5], arg[6]
local now = now_ms()
local st = redis.call('HMGET', STATE, 'virtual', 'base', 'tokens', 'reserved', 'jobs', 'arriving', 'arrived')
local virtual, base, total = tonumber(st[1] or 0), tonumber(st[2] or 0), tonumber(st[3] or 0)
local CHUNKS = TAG .. ':chunks:'

-- Lowers the priorities of everything that waits, so that V stands at priority 1 again.
local function rebase()
  local delta = math.floor((virtual - base) / quantum)
  base = base + delta * quantum
  redis.call('HSET', STATE, 'base', string.format('%.17g', base))
  local waiting = redis.call('ZRANGE', CHUNKS .. 'prioritized', 0, -1, 'WITHSCORES')
  for i = 1, #waiting, 2 do
    local chunk, score = waiting[i], tonumber(waiting[i + 1])
    local order = score % 0x100000000
    local priority = math.max(1, math.floor(score / 0x100000000) - delta)
    redis.call('ZADD', CHUNKS .. 'prioritized', string.format('%.17g', priority * 0x100000000 + order), chunk)
    redis.call('HSET', CHUNKS .. chunk, 'priority', priority)
  end
  for _, list in ipairs({ redis.call('LRANGE', CHUNKS .. 'active', 0, -1), redis.call('ZRANGE', CHUNKS .. 'delayed', 0, -1) }) do
    for _, chunk in ipairs(list) do
      local priority = tonumber(redis.call('HGET', CHUNKS .. chunk, 'priority') or 1)
      redis.call('HSET', CHUNKS .. chunk, 'priority', math.max(1, priority - delta))
    end
  end
end

local function priority_of(tag)
  local priority = math.floor((tag - base) / quantum) + 1
  if priority > max_priority then
    rebase()
    priority = math.floor((tag - base) / quantum) + 1
  end
  return math.min(max_priority, math.max(1, priority))
end

-- Per tenant: outstanding tokens, finish tag and index entries, read and written once.
local tenants = {}
local function tenant_of(name)
  if not tenants[name] then
    tenants[name] = {
      before = tonumber(redis.call('HGET', TAG .. ':outstanding', name) or 0),
      finish_tag = tonumber(redis.call('HGET', TAG .. ':tags', name) or 0),
      added = 0,
      index = {},
    }
  end
  return tenants[name]
end

local out, created, tokens_added, reserved_added = {}, {}, 0, 0
for i, job in ipairs(jobs) do
  local id, weight, items, tokens, reserved, slices = job[1], job[3], job[8], job[9], job[10], job[11]
  local key, tenant = record(id), tenant_of(job[2])
  if redis.call('EXISTS', key) == 1 then
    out[i] = { 0 }
  elseif tenant.before + tenant.added + tokens > tenant_cap then
    out[i] = { -1 }
  elseif total + tokens_added + tokens > queue_cap then
    out[i] = { -2 }
  else
    local deadline = job[6]
    if job[7] > 0 then deadline = now + job[7] end
    local fields = {
      'state', 'queued', 'tenant', job[2], 'meta', ARGV[job[4]], 'task', ARGV[job[5]], 'created', now,
      'items', items, 'tokens', tokens, 'reserved', reserved, 'slices', #slices, 'retention', job[12],
    }
    if job[13] ~= '' then
      fields[#fields + 1] = 'hears'
      fields[#fields + 1] = job[13]
    end
    if job[14] then
      fields[#fields + 1] = 'parts'
      fields[#fields + 1] = 1
    end
    if deadline > 0 then
      fields[#fields + 1] = 'deadline'
      fields[#fields + 1] = deadline
      redis.call('ZADD', TAG .. ':due', deadline, id)
    end
    local places = { 1 }
    for s, slice in ipairs(slices) do
      local start = math.max(virtual, tenant.finish_tag)
      tenant.finish_tag = start + slice[3] / weight
      places[#places + 1] = string.format('%.17g', start)
      places[#places + 1] = priority_of(start)
      fields[#fields + 1] = 'in' .. (s - 1)
      fields[#fields + 1] = ARGV[slice[4]]
      fields[#fields + 1] = 'at' .. (s - 1)
      fields[#fields + 1] = slice[1] .. ' ' .. slice[2]
    end
    redis.call('HSET', key, unpack(fields))
    tenant.added = tenant.added + tokens
    tenant.index[#tenant.index + 1] = 0
    tenant.index[#tenant.index + 1] = id
    created[#created + 1] = id
    tokens_added = tokens_added + tokens
    reserved_added = reserved_added + reserved
    out[i] = places
  end
end

if #created > 0 then
  for name, tenant in pairs(tenants) do
    if tenant.added > 0 then
      redis.call('HINCRBY', TAG .. ':outstanding', name, tenant.added)
      redis.call('HSET', TAG .. ':tags', name, string.format('%.17g', tenant.finish_tag))
      redis.call('ZADD', TAG .. ':index:' .. name, unpack(tenant.index))
    end
  end
  -- Tokens a second that arrive, over about the last minute: the sum of libs/autoscaling/src/arrivals.ts.
  local faded = tonumber(st[6] or 0) * math.exp(-math.max(0, now - tonumber(st[7] or now)) / 60000)
  redis.call('HSET', STATE, 'tokens', total + tokens_added, 'reserved', tonumber(st[4] or 0) + reserved_added,
    'jobs', tonumber(st[5] or 0) + #created, 'arriving', faded + tokens_added / 60, 'arrived', now)
  -- Until the producer says that BullMQ has the chunks, the sweeper looks after them.
  redis.call('HSET', TAG .. ':unsent', commit, now .. ' ' .. table.concat(created, ' '))
end
return out
