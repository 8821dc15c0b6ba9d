-- Shared by the scripts of webhooks. KEYS[1] is the tenant's tag, `{shoal:webhooks:<tenant>}`; every key of the tenant's
-- endpoints and messages starts with it. docs/redis.md describes the keys and fields.
local TAG = KEYS[1]

local function message(id) return TAG .. ':message:' .. id end

-- Messages of a destination, by the time of their events: those that are still tried, those that were given up, and those
-- that are done (delivered or superseded).
local function index(state, destination)
  local name = state == 'pending' and 'pending' or state == 'failed' and 'failed' or 'settled'
  return TAG .. ':' .. name .. ':' .. destination
end

-- How many messages of a tenant are kept in each state, over all of its destinations; of the one that has most of them the
-- oldest are forgotten.
local ROOM = { pending = 100000, failed = 20000, settled = 20000 }
-- Most that are forgotten at once.
local FORGET = 100
-- Indexes that nobody writes any more go after this long in ms: 14 days.
local INDEX_MS = 14 * 24 * 3600000

-- Carriers of messages that are not to be delivered any more.
local dropped = {}

local function drop(id) dropped[#dropped + 1] = redis.call('HGET', message(id), 'carrier') or nil end

-- How many messages of the tenant are in a state, and the destination that has most of them.
local function count(state)
  local destinations = redis.call('ZRANGE', TAG .. ':endpoints', 0, -1)
  destinations[#destinations + 1] = 'jobs'
  local total, most, largest = 0, -1, nil
  for _, destination in ipairs(destinations) do
    local own = redis.call('ZCARD', index(state, destination))
    total = total + own
    if own > most then most, largest = own, destination end
  end
  return total, largest
end

-- Moves a message to another state, and forgets what there is no room for.
local function move(id, destination, at, from, to)
  if from then redis.call('ZREM', index(from, destination), id) end
  local key = index(to, destination)
  redis.call('ZADD', key, at, id)
  redis.call('PEXPIRE', key, INDEX_MS)
  redis.call('HSET', message(id), 'state', to)
  local total, largest = count(to)
  local over = math.min(FORGET, total - (ROOM[to] or ROOM.settled))
  if over <= 0 then return end
  for _, old in ipairs(redis.call('ZRANGE', index(to, largest), 0, over - 1)) do
    if to == 'pending' then drop(old) end
    redis.call('UNLINK', message(old))
  end
  redis.call('ZREMRANGEBYRANK', index(to, largest), 0, over - 1)
end
