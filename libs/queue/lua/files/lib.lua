-- Shared by the scripts of files. KEYS[1] is `{shoal:files}`, and every key starts with it: one Cluster slot has the records of
-- all files. docs/redis.md describes the keys and fields.
local TAG = KEYS[1]
-- Files by when they are to be looked at: what is being written when its writer is given up, what is there when it expires.
local DUE = TAG .. ':due'
-- Files whose records are gone, by when somebody next removes what they had in the store.
local GARBAGE = TAG .. ':garbage'

local function record(id) return TAG .. ':file:' .. id end

local function pieces_of(id) return TAG .. ':pieces:' .. id end

local function index(tenant, purpose) return TAG .. ':of:' .. tenant .. (purpose and ':' .. purpose or '') end

local function held_by(tenant) return TAG .. ':held:' .. tenant end

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Files and bytes of a tenant, and of all: what is being written counts with what was set aside for it.
local function hold(tenant, files, bytes)
  local key = held_by(tenant)
  redis.call('HINCRBY', key, 'bytes', bytes)
  if redis.call('HINCRBY', key, 'files', files) <= 0 then redis.call('UNLINK', key) end
  redis.call('HINCRBY', TAG .. ':state', 'bytes', bytes)
  redis.call('HINCRBY', TAG .. ':state', 'files', files)
end

-- The record goes first, then what is in the store: nobody finds a file of which something is missing.
local function drop(id, now)
  local r = redis.call('HMGET', record(id), 'tenant', 'purpose', 'held', 'key')
  if not r[1] then return end
  redis.call('ZREM', index(r[1]), id)
  redis.call('ZREM', index(r[1], r[2]), id)
  redis.call('ZREM', DUE, id)
  redis.call('ZADD', GARBAGE, now, id)
  redis.call('UNLINK', record(id), pieces_of(id))
  if r[4] then redis.call('UNLINK', TAG .. ':key:' .. r[1] .. ':' .. r[4]) end
  hold(r[1], -1, 0 - r[3])
end

-- Whether the tenant has this file, whole and not expired.
local function is_there(id, tenant, now)
  local r = redis.call('HMGET', record(id), 'tenant', 'state', 'expires')
  return r[1] == tenant and r[2] == 'ready' and (r[3] == '' or tonumber(r[3]) > now)
end
