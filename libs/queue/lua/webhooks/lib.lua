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

-- How many messages of a destination are kept in each state; the oldest are forgotten.
local ROOM = { pending = 100000, failed = 10000, settled = 1000 }
-- Indexes that nobody writes any more go after this long in ms: 14 days.
local INDEX_MS = 14 * 24 * 3600000

-- Moves a message to another state, and forgets what there is no room for.
local function move(id, destination, at, from, to)
  if from then redis.call('ZREM', index(from, destination), id) end
  local key = index(to, destination)
  redis.call('ZADD', key, at, id)
  redis.call('PEXPIRE', key, INDEX_MS)
  redis.call('HSET', message(id), 'state', to)
  local room = ROOM[to] or ROOM.settled
  local over = redis.call('ZCARD', key) - room
  if over <= 0 then return end
  for _, old in ipairs(redis.call('ZRANGE', key, 0, over - 1)) do redis.call('UNLINK', message(old)) end
  redis.call('ZREMRANGEBYRANK', key, 0, over - 1)
end
