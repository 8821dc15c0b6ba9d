#!lua flags=no-writes
-- @include lib
--[[
  Where a job that waits stands in the fair order. Counted, not walked: with the logarithm of what waits.

  ARGV     job id, tenant
  Output   nothing where it does not wait, else { now, chunks before its first one, chunks in all, tokens of all unfinished jobs }
]]
local CHUNKS = TAG .. ':chunks:'
local r = redis.call('HMGET', record(ARGV[1]), 'state', 'tenant', 'turn', 'place')
local tag, rank, ahead = string.match(r[3] or '', '^(%S+) (%d) (%S+)$')
if r[1] ~= 'queued' or r[2] ~= ARGV[2] or not tag then return nil end

-- What came of better ranks of its tenant since goes before it: when its first chunk is fetched it goes back (lib.lua).
local due, behind = tonumber(tag), 0
if tonumber(rank) > 1 then
  local tags = {}
  for number in string.gmatch(redis.call('HGET', TAG .. ':tags', r[2]) or '', '%S+') do tags[#tags + 1] = tonumber(number) end
  behind = (tags[rank + 2] or 0) - tonumber(ahead)
end
local overtaken = behind > 0 and (r[4] or behind >= LEAD)
if overtaken then due = due + behind end
local first = exact(priority_of(read_order(), due) * PRIORITY_STEP)
local before = redis.call('ZCOUNT', CHUNKS .. 'prioritized', '-inf', '(' .. first)
-- By then it is one of those that are counted itself.
if overtaken then before = math.max(0, before - 1) end
local chunks = redis.call('ZCARD', CHUNKS .. 'prioritized') + redis.call('ZCARD', CHUNKS .. 'delayed')
  + redis.call('LLEN', CHUNKS .. 'active')
return { now_ms(), before, chunks, tonumber(redis.call('HGET', STATE, 'tokens') or 0) }
