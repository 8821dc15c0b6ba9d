-- Shared by every script of a queue. KEYS[1] is the queue's tag, `{shoal:<queue>}`; every key of the queue starts with it,
-- so that a script touches one Cluster slot. docs/redis.md describes the keys and fields.
-- ARGV[1] of the larger scripts is MessagePack; Redis's cmsgpack knows no binary type, so packed values travel as arguments of
-- their own.
local TAG = KEYS[1]
local STATE = TAG .. ':state'

-- Fields of a record under the names that earlier versions gave them: while a fleet is replaced, two versions read them.
-- Which events webhooks want, how many there have been, when the last one of an output was; the items of a slice that are in
-- a forward pass now; whether any item has strikes or failed attempts.
local SUBSCRIBED, SEQUENCE, OUTPUT_EVENT_AT = 'hears', 'told', 'toldout'
local IN_FLIGHT, HAS_FAILURES = 'struck', 'marred'

local function record(id) return TAG .. ':job:' .. id end

local function full_id(id) return string.sub(TAG, 8, -2) .. '.' .. id end

-- Redis's clock in ms: the only clock that is compared across machines.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- The log of an answer that is being generated, piece by piece, as followers read it (text.lua).
local function text_of(id) return TAG .. ':text:' .. id end

local function is_open(state) return state == 'queued' or state == 'running' end

local function holds(chunk, token) return redis.call('GET', TAG .. ':chunks:' .. chunk .. ':lock') == token end

-- The fair order. A chunk's priority is the distance of its start tag from `base` in quanta of tokens (at weight 1): two tags
-- closer than a quantum are served in the order of their arrival. BullMQ's limit is 2,097,151 (PRIORITY_LIMIT); what lies
-- beyond ours stands at the end, until sweep.lua has moved the base up to V and lowered what waits. It does so a slice at a
-- time, front first: while there is a `shift`, priorities from that of `frontier` (a score) on are of the base before.
local QUANTUM, MAX_PRIORITY = 64, 2000000
local PRIORITY_STEP = 0x100000000

local function read_order()
  local r = redis.call('HMGET', STATE, 'virtual', 'base', 'shift', 'frontier')
  return {
    virtual = tonumber(r[1] or 0), base = tonumber(r[2] or 0), shift = tonumber(r[3] or 0), frontier = tonumber(r[4] or 0),
  }
end

local function priority_of(order, tag)
  local priority = math.floor((tag - order.base) / QUANTUM) + 1
  if order.shift > 0 and priority + order.shift >= math.floor(order.frontier / PRIORITY_STEP) then
    priority = priority + order.shift
  end
  return math.max(1, math.min(MAX_PRIORITY, priority))
end

-- All digits: a tag is a sum of fractions.
local function exact(number) return string.format('%.17g', number) end

-- By so much may a tenant's better priorities run ahead of a chunk, in tokens at weight 1, and so often does it go back: then
-- it has waited long enough. A text is worth a look each time: it takes as long as thousands of items of other models.
local LEAD, MOST_RETURNS, MOST_RETURNS_OF_TEXT = 4096, 3, 64

-- Whether better priorities of its tenant have overtaken a chunk since it got its place: then it gets the one where it would
-- stand had they come first, unless nobody waits before that. `turn`: tag, tenant, rank, overtaken (admit.lua), and a job of
-- it; `next`: what is the next one among those that wait, from 0. Returns its new priority.
local function goes_back(chunk, turn, next)
  local key, tags = TAG .. ':chunks:' .. chunk, {}
  for number in string.gmatch(redis.call('HGET', TAG .. ':tags', turn.tenant) or '', '%S+') do
    tags[#tags + 1] = tonumber(number)
  end
  local f, text = redis.call('HMGET', key, 'overtaken', 'returns', 'due'), redis.call('HEXISTS', record(turn.job), 'place') == 1
  local since, returns = tags[turn.rank + 2] or 0, tonumber(f[2] or 0)
  local behind = since - tonumber(f[1] or turn.overtaken)
  if behind <= 0 or (not text and behind < LEAD) or returns >= (text and MOST_RETURNS_OF_TEXT or MOST_RETURNS) then return end
  local due = tonumber(f[3] or turn.tag) + behind
  -- A text that made way had its turn before all that waits: behind the latest of the better ones it goes.
  if text then due = math.max(due, (tags[turn.rank + 4] or 0) + QUANTUM) end
  local priority = priority_of(read_order(), due)
  local first = redis.call('ZRANGE', TAG .. ':chunks:prioritized', next, next, 'WITHSCORES')[2]
  if not first or tonumber(first) / PRIORITY_STEP >= priority then return end
  redis.call('HSET', key, 'priority', priority, 'overtaken', exact(since), 'due', exact(due), 'returns', returns + 1)
  return priority
end

-- Bytes that a tenant holds: of unfinished jobs what admission estimated, of ended ones what is stored. An entry of
-- `forget` says what its end gives back, so that a record that expires by itself leaves no trace here.
local function hold(tenant, bytes)
  if bytes ~= 0 and redis.call('HINCRBY', TAG .. ':held', tenant, bytes) <= 0 then
    redis.call('HDEL', TAG .. ':held', tenant)
  end
end

-- Tokens of an answer, until those of a queue are known by experience; gauges.ts has the same.
local DEFAULT_ANSWER = 256

-- Tags of who was charged for more or fewer tokens than were made, by tenant and rank: written once, by settle().
local corrections = {}

-- `place` is the record's: `<rank> <weight>`.
local function correct(tenant, place, tokens)
  local rank, weight = string.match(place, '^(%d) (.+)$')
  local by_rank = corrections[tenant] or { 0, 0, 0 }
  for lower = tonumber(rank), 3 do by_rank[lower] = by_rank[lower] + tokens / tonumber(weight) end
  corrections[tenant] = by_rank
end

local function write_corrections()
  for tenant, by_rank in pairs(corrections) do
    local tags = {}
    for tag in string.gmatch(redis.call('HGET', TAG .. ':tags', tenant) or '', '%S+') do tags[#tags + 1] = tonumber(tag) end
    if #tags >= 5 then
      for rank = 1, 3 do tags[rank] = math.max(0, tags[rank] + by_rank[rank]) end
      for n = 1, #tags do tags[n] = exact(tags[n]) end
      redis.call('HSET', TAG .. ':tags', tenant, table.concat(tags, ' '))
    end
  end
end

local function forget_entry(bytes, kind, id, tenant) return bytes .. ' ' .. kind .. ' ' .. id .. ' ' .. tenant end

-- What the jobs that end in this script give back, who started or has new outputs, and whether webhooks have news: all
-- written once, by settle().
local ended, moved, released = {}, {}, { jobs = 0, tokens = 0, served = 0, reserved = 0, tenants = {}, states = {}, held = {} }
local outbox = false

-- Leaves an event for the webhooks process. `letters` are the record's SUBSCRIBED: s, o, e for started, outputs, ended.
local function emit(id, tenant, kind, now)
  local seq = redis.call('HINCRBY', record(id), SEQUENCE, 1)
  redis.call('XADD', TAG .. ':outbox', '*', 'job', id, 'tenant', tenant, 'type', kind, 'seq', seq, 'at', now)
  outbox = true
end

local function subscribes(letters, letter) return letters and string.find(letters, letter, 1, true) end

-- The first terminal write wins: callers check is_open() before. Drops the inputs and starts retention. `fields` are
-- further fields of the record, as a list of names and values; `bytes` is the size of all results. Returns how many slices
-- the job had: what this took grows with them.
local function finish(id, state, now, fields, bytes)
  local key = record(id)
  local r = redis.call('HMGET', key, 'tenant', 'tokens', 'reserved', 'slices', 'deadline', 'retention', SUBSCRIBED, 'parts',
    'held', 'bytes', 'kept', 'place', 'pieces', 'logged')
  local tenant, tokens, slices, retention = r[1], tonumber(r[2]), tonumber(r[4]), tonumber(r[6])
  bytes = bytes or tonumber(r[10] or 0)
  local held = tonumber(r[11] or 0) + bytes + tonumber(r[14] or 0)
  redis.call('HSET', key, 'state', state, 'ended', now, 'expires', now + retention, 'bytes', bytes, 'held', held,
    unpack(fields or {}))
  -- Answers that never ended are charged for what was made of them.
  for s = 0, r[12] and slices - 1 or -1 do
    local c = redis.call('HMGET', key, 'charge' .. s, 'made' .. s)
    if c[1] then correct(tenant, r[12], tonumber(c[2] or 0) - tonumber(c[1])) end
  end
  local inputs = {}
  for s = 0, slices - 1 do inputs[s + 1] = 'in' .. s end
  redis.call('HDEL', key, unpack(inputs))
  redis.call('PEXPIRE', key, retention)
  if r[8] then redis.call('PEXPIRE', TAG .. ':parts:' .. id, retention) end
  if r[13] then redis.call('PEXPIRE', text_of(id), retention) end
  redis.call('ZADD', TAG .. ':forget', now + retention, forget_entry(held, 'record', id, tenant))
  if r[5] then redis.call('ZREM', TAG .. ':due', id) end
  if subscribes(r[7], 'e') then emit(id, tenant, state, now) end
  released.jobs = released.jobs + 1
  released.states[state] = (released.states[state] or 0) + 1
  released.tokens = released.tokens + tokens
  -- What is taken back or comes too late tells nothing of how fast workers are.
  if state == 'completed' or state == 'failed' then released.served = released.served + tokens end
  released.reserved = released.reserved + tonumber(r[3])
  released.tenants[tenant] = (released.tenants[tenant] or 0) + tokens
  released.held[tenant] = (released.held[tenant] or 0) + held - tonumber(r[9] or 0)
  ended[#ended + 1] = full_id(id)
  return slices
end

-- Releases what admission reserved and announces what happened, in one message each; API replicas wake who waits.
local function settle()
  write_corrections()
  if outbox then redis.call('PUBLISH', 'shoal:outbox', string.sub(TAG, 8, -2)) end
  if #moved > 0 then redis.call('PUBLISH', 'shoal:moved:' .. string.sub(TAG, 8, -2), table.concat(moved, ' ')) end
  if #ended == 0 then return end
  for tenant, tokens in pairs(released.tenants) do
    if redis.call('HINCRBY', TAG .. ':outstanding', tenant, -tokens) <= 0 then
      redis.call('HDEL', TAG .. ':outstanding', tenant)
    end
  end
  for tenant, bytes in pairs(released.held) do hold(tenant, bytes) end
  redis.call('HINCRBY', STATE, 'tokens', -released.tokens)
  redis.call('HINCRBY', STATE, 'reserved', -released.reserved)
  redis.call('HINCRBY', STATE, 'served', released.served)
  for state, jobs in pairs(released.states) do redis.call('HINCRBY', STATE, state, jobs) end
  if redis.call('HINCRBY', STATE, 'jobs', -released.jobs) <= 0 then
    -- The queue is empty: fair queueing starts afresh.
    redis.call('UNLINK', TAG .. ':tags')
    redis.call('HDEL', STATE, 'virtual', 'base', 'shift', 'frontier', 'recheck')
  end
  redis.call('PUBLISH', 'shoal:ended', table.concat(ended, ' '))
end
