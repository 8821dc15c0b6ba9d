#!lua flags=allow-oom
--[[
  What a process tells of its models, and what all of them tell and what is wished, where that has changed.

  KEYS[1]  {shoal:models}
  ARGV     process, ms after which one that has not been heard of is forgotten, what it tells (JSON; '': it ends),
           the version that it has seen
  Output   version; where it is another than the one seen: wishes as a flat list, and what each process tells
]]
local TAG = KEYS[1]
local PROCESSES, TOLD, VERSION = TAG .. ':processes', TAG .. ':told', TAG .. ':version'
local id, patience, told, seen = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local changed = false
local function forget(process)
  redis.call('ZREM', PROCESSES, process)
  if redis.call('HDEL', TOLD, process) > 0 then changed = true end
end
for _, process in ipairs(redis.call('ZRANGEBYSCORE', PROCESSES, '-inf', now - patience)) do
  if process ~= id then forget(process) end
end
if told == '' then
  forget(id)
else
  redis.call('ZADD', PROCESSES, now, id)
  if redis.call('HGET', TOLD, id) ~= told then
    redis.call('HSET', TOLD, id, told)
    changed = true
  end
end
if changed then redis.call('INCR', VERSION) end

local version = redis.call('GET', VERSION) or '0'
if version == seen then return { version } end
local all = redis.call('HGETALL', TOLD)
local others = {}
for n = 2, #all, 2 do others[#others + 1] = all[n] end
return { version, redis.call('HGETALL', TAG .. ':wishes'), others }
