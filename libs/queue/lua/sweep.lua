#!lua flags=allow-oom
-- @include lib
--[[
  What time alone must do, by whichever API replica comes first: expires jobs past their deadline (also when no worker
  lives), forgets index entries of records that have expired, and finds jobs that were recorded but never enqueued.

  ARGV     ms after which a recorded job counts as not enqueued, packed JobError for expired jobs
  Output   virtual time, { commit id, job id, number of slices, job id, number of slices, ... } per commit to enqueue
]]
local patience, expired_error = tonumber(ARGV[1]), ARGV[2]
local now = now_ms()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', TAG .. ':due', '-inf', now, 'LIMIT', 0, 500)) do
  local state = redis.call('HGET', record(id), 'state')
  if state and is_open(state) then
    finish(id, 'expired', now, { 'error', expired_error })
    redis.call('PUBLISH', 'shoal:dropped', full_id(id))
  else
    redis.call('ZREM', TAG .. ':due', id)
  end
end
settle()
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', TAG .. ':forget', '-inf', now, 'LIMIT', 0, 500)) do
  local tenant, id = string.match(entry, '^(.*) (%S+)$')
  redis.call('ZREM', TAG .. ':index:' .. tenant, id)
  redis.call('ZREM', TAG .. ':forget', entry)
end
local unsent = {}
local commits = redis.call('HGETALL', TAG .. ':unsent')
for c = 1, #commits, 2 do
  local at, ids = string.match(commits[c + 1], '^(%d+) (.*)$')
  if tonumber(at) <= now - patience then
    local lost = { commits[c] }
    for id in string.gmatch(ids, '%S+') do
      local r = redis.call('HMGET', record(id), 'state', 'slices')
      if r[1] and is_open(r[1]) then
        lost[#lost + 1] = id
        lost[#lost + 1] = tonumber(r[2])
      end
    end
    if #lost == 1 then
      redis.call('HDEL', TAG .. ':unsent', commits[c])
    else
      -- Not again before this replica has had the time to enqueue them.
      redis.call('HSET', TAG .. ':unsent', commits[c], now .. ' ' .. ids)
      unsent[#unsent + 1] = lost
    end
  end
end
return { redis.call('HGET', STATE, 'virtual') or '0', unsent }
