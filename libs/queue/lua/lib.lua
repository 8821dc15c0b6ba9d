-- Shared by every script of a queue. KEYS[1] is the queue's tag, `{shoal:<queue>}`; every key of the queue starts with it,
-- so that a script touches one Cluster slot. docs/redis.md describes the keys and fields.
-- ARGV[1] of the larger scripts is MessagePack; Redis's cmsgpack knows no binary type, so packed values travel as arguments of
-- their own.
local TAG = KEYS[1]
local STATE = TAG .. ':state'

local function record(id) return TAG .. ':job:' .. id end

local function full_id(id) return string.sub(TAG, 8, -2) .. '.' .. id end

-- Redis's clock in ms: the only clock that is compared across machines.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function is_open(state) return state == 'queued' or state == 'running' end

local function holds(chunk) return redis.call('GET', TAG .. ':chunks:' .. chunk[1] .. ':lock') == chunk[2] end

-- What the jobs that end in this script give back, written once by settle().
local ended, released = {}, { jobs = 0, tokens = 0, reserved = 0, tenants = {} }

-- The first terminal write wins: callers check is_open() before. Drops the inputs and starts retention. `fields` are
-- further fields of the record, as a list of names and values.
local function finish(id, state, now, retention, fields)
  local key = record(id)
  local r = redis.call('HMGET', key, 'tenant', 'tokens', 'reserved', 'slices', 'deadline')
  local tenant, tokens = r[1], tonumber(r[2])
  redis.call('HSET', key, 'state', state, 'ended', now, 'expires', now + retention, unpack(fields or {}))
  local inputs = {}
  for s = 0, tonumber(r[4]) - 1 do inputs[s + 1] = 'in' .. s end
  redis.call('HDEL', key, unpack(inputs))
  redis.call('PEXPIRE', key, retention)
  redis.call('ZADD', TAG .. ':forget', now + retention, tenant .. ' ' .. id)
  if r[5] then redis.call('ZREM', TAG .. ':due', id) end
  released.jobs = released.jobs + 1
  released.tokens = released.tokens + tokens
  released.reserved = released.reserved + tonumber(r[3])
  released.tenants[tenant] = (released.tenants[tenant] or 0) + tokens
  ended[#ended + 1] = full_id(id)
end

-- Releases what admission reserved and announces the ended jobs in one message; API replicas wake their waiters.
local function settle()
  if #ended == 0 then return end
  for tenant, tokens in pairs(released.tenants) do
    if redis.call('HINCRBY', TAG .. ':outstanding', tenant, -tokens) <= 0 then
      redis.call('HDEL', TAG .. ':outstanding', tenant)
    end
  end
  redis.call('HINCRBY', STATE, 'tokens', -released.tokens)
  redis.call('HINCRBY', STATE, 'reserved', -released.reserved)
  redis.call('HINCRBY', STATE, 'served', released.tokens)
  if redis.call('HINCRBY', STATE, 'jobs', -released.jobs) <= 0 then
    -- The queue is empty: fair queueing starts afresh.
    redis.call('DEL', TAG .. ':tags')
    redis.call('HDEL', STATE, 'virtual', 'base')
  end
  redis.call('PUBLISH', 'shoal:ended', table.concat(ended, ' '))
end
