#!lua flags=allow-oom
-- @include lib
--[[
  Ends a job as cancelled unless it has ended, and erases it where asked. Needs no lock: the first terminal write wins.

  ARGV     job id, tenant, '1' to erase, packed JobError
  Output   1: cancelled now, 0: it had ended, -1: not there, or not this tenant's
]]
local id, tenant, erase, detail = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]
local key = record(id)
local r = redis.call('HMGET', key, 'state', 'tenant')
if not r[1] or r[2] ~= tenant then return -1 end
local cancelled = is_open(r[1])
if cancelled then
  finish(id, 'cancelled', now_ms(), { 'error', detail })
  redis.call('PUBLISH', 'shoal:dropped', full_id(id))
end
settle()
if erase then
  local held = redis.call('HGET', key, 'held') or 0
  if redis.call('ZREM', TAG .. ':forget', forget_entry(held, 'record', id, tenant), tenant .. ' ' .. id) > 0 then
    hold(tenant, -held)
  end
  redis.call('UNLINK', key, TAG .. ':parts:' .. id, text_of(id))
  redis.call('ZREM', TAG .. ':index:' .. tenant, id)
end
return cancelled and 1 or 0
