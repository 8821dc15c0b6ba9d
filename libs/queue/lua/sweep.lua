#!lua flags=allow-oom
-- @include lib
--[[
  What time alone must do, a slice at a time so that no call holds Redis for long: expires jobs past their deadline (also
  when no worker lives), forgets what has expired, finds jobs that were recorded but never enqueued, and lowers the
  priorities of what waits before they run out.

  ARGV     ms after which a recorded job counts as not enqueued, packed JobError for expired jobs
  Output   msgpack { more, jobs, next, lost }: whether there is more to do now; unfinished jobs; when there is something to
           forget (Unix ms), if ever; what to enqueue: { commit, slices } with
           slice = { ulid, slice, alone, tenant, rank, count, tokens, tag, priority, overtaken }
]]
-- Most of each kind in one call, a few ms of Redis's time: slices of jobs that expire, entries, commits, chunks.
local MAX_EXPIRED_SLICES, MAX_FORGOTTEN, MAX_COMMITS, MAX_LOWERED = 500, 200, 4, 200
local patience, expired_error = tonumber(ARGV[1]), ARGV[2]
local now, more = now_ms(), false

local late = redis.call('ZRANGEBYSCORE', TAG .. ':due', '-inf', now, 'LIMIT', 0, MAX_EXPIRED_SLICES)
local work = 0
for _, id in ipairs(late) do
  if work >= MAX_EXPIRED_SLICES then break end
  local state = redis.call('HGET', record(id), 'state')
  if state and is_open(state) then
    work = work + 10 + finish(id, 'expired', now, { 'error', expired_error })
    redis.call('PUBLISH', 'shoal:dropped', full_id(id))
  else
    work = work + 1
    redis.call('ZREM', TAG .. ':due', id)
  end
end
more = work >= MAX_EXPIRED_SLICES
settle()

local FORGET = TAG .. ':forget'
local past = redis.call('ZRANGEBYSCORE', FORGET, '-inf', now, 'LIMIT', 0, MAX_FORGOTTEN)
for _, entry in ipairs(past) do
  local bytes, kind, id, tenant = string.match(entry, '^(%d+) (%l+) (%w+) (.*)$')
  if kind ~= 'key' then
    if not kind then tenant, id = string.match(entry, '^(.*) (%S+)$') end
    redis.call('ZREM', TAG .. ':index:' .. tenant, id)
  end
  hold(tenant, -(bytes or 0))
end
if #past > 0 then redis.call('ZREM', FORGET, unpack(past)) end
more = more or #past == MAX_FORGOTTEN

-- Before priorities run out: the base goes up to V, and what waits is lowered, front first. Chunks that are out, or wait for
-- their next try, are few.
local CHUNKS = TAG .. ':chunks:'
local order = read_order()
local recheck_at, recheck_from = string.match(redis.call('HGET', STATE, 'recheck') or '', '^(%d+) (%d+)$')

-- From `from` (a score) on, each chunk's priority is made of its tag. Returns where to go on, or nothing at the end.
local function lower(from)
  local waiting = redis.call('ZRANGEBYSCORE', CHUNKS .. 'prioritized', '(' .. exact(from), '+inf', 'WITHSCORES', 'LIMIT', 0,
    MAX_LOWERED)
  for i = 1, #waiting, 2 do
    local chunk, score = waiting[i], tonumber(waiting[i + 1])
    local f = redis.call('HMGET', CHUNKS .. chunk, 'data', 'due')
    -- `due`: it was sent back (claim.lua).
    local tag = tonumber(f[2] or string.match(f[1] or '', '"tag":([%d.e+-]+)') or order.virtual)
    local priority = math.max(1, math.min(MAX_PRIORITY, math.floor((tag - order.base) / QUANTUM) + 1))
    if priority ~= math.floor(score / PRIORITY_STEP) then
      redis.call('ZADD', CHUNKS .. 'prioritized', exact(priority * PRIORITY_STEP + score % PRIORITY_STEP), chunk)
      redis.call('HSET', CHUNKS .. chunk, 'priority', priority)
    end
    from = score
  end
  return #waiting == 2 * MAX_LOWERED and from
end

if order.shift == 0 and not recheck_at and order.virtual - order.base >= QUANTUM * MAX_PRIORITY / 2 then
  order.shift = math.floor((order.virtual - order.base) / QUANTUM)
  order.base = order.base + order.shift * QUANTUM
  redis.call('HSET', STATE, 'base', exact(order.base), 'shift', order.shift, 'frontier', 0)
  local out = { redis.call('LRANGE', CHUNKS .. 'active', 0, 1999), redis.call('ZRANGE', CHUNKS .. 'delayed', 0, 1999) }
  for _, list in ipairs(out) do
    for _, chunk in ipairs(list) do
      local priority = tonumber(redis.call('HGET', CHUNKS .. chunk, 'priority') or 1)
      redis.call('HSET', CHUNKS .. chunk, 'priority', math.max(1, priority - order.shift))
    end
  end
end
if order.shift > 0 then
  local frontier = lower(order.frontier)
  if frontier then
    redis.call('HSET', STATE, 'frontier', exact(frontier))
    order.frontier, more = frontier, true
  else
    -- What was admitted meanwhile, by the base before, may not be enqueued yet: it is looked for once more, later.
    redis.call('HSET', STATE, 'recheck', (now + 2 * patience) .. ' ' .. exact(order.shift * PRIORITY_STEP))
    redis.call('HDEL', STATE, 'shift', 'frontier')
    order.shift = 0
  end
elseif recheck_at and now >= tonumber(recheck_at) then
  local from = lower(tonumber(recheck_from))
  if from then
    redis.call('HSET', STATE, 'recheck', recheck_at .. ' ' .. exact(from))
    more = true
  else
    redis.call('HDEL', STATE, 'recheck')
  end
end

local lost = {}
local due = redis.call('ZRANGEBYSCORE', TAG .. ':commits:due', '-inf', now - patience, 'LIMIT', 0, MAX_COMMITS)
for _, commit in ipairs(due) do
  local slices, at = {}, 0
  local packed = redis.call('HGET', TAG .. ':commits', commit)
  local c = packed and cmsgpack.unpack(packed) or { id = {} }
  for i, id in ipairs(c.id) do
    local state, count = redis.call('HGET', record(id), 'state'), c.slices[i]
    -- A job of one slice that runs was enqueued.
    if state and is_open(state) and not (state == 'running' and count == 1) then
      for s = 1, count do
        local tag = c.tag[at + s]
        slices[#slices + 1] = {
          ulid = id, slice = s - 1, alone = c.alone ~= nil and c.alone[i], tenant = c.tenant[i], rank = c.rank[i], count = c.count[at + s], tokens = c.tokens[at + s],
          tag = tag, priority = priority_of(order, tag), overtaken = c.overtaken[at + s],
        }
      end
    end
    at = at + count
  end
  if #slices == 0 then
    redis.call('HDEL', TAG .. ':commits', commit)
    redis.call('ZREM', TAG .. ':commits:due', commit)
  else
    -- Not again before this replica has had the time to enqueue them.
    redis.call('ZADD', TAG .. ':commits:due', now, commit)
    lost[#lost + 1] = { commit = commit, slices = slices }
  end
end
more = more or #due == MAX_COMMITS

local jobs = tonumber(redis.call('HGET', STATE, 'jobs') or 0) + redis.call('ZCARD', TAG .. ':commits:due')
local soonest = redis.call('ZRANGE', FORGET, 0, 0, 'WITHSCORES')[2]
-- Nobody holds anything of an empty queue; a worker of an earlier version may have ended jobs without saying so.
if jobs == 0 and not soonest then redis.call('UNLINK', TAG .. ':held') end
return cmsgpack.pack({ more = more, jobs = jobs, next = soonest and tonumber(soonest), lost = lost })
