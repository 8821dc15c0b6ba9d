#!lua flags=allow-oom
-- @include lib
--[[
  Records an attempt and what follows from it, or that a message is given up without one.

  ARGV     id, carrier, outcome (delivered, retry, failed), ms to keep, now in ms, ms after which an endpoint that only
           failed is disabled, '1' where the receiver is gone, entries and bytes that the log of attempts may have,
           fields of the attempt for the log: name, value, ... or none where there was no attempt
  Output   state of the message ('' where it is not there), why its endpoint was disabled by this or ''

  Whoever was replaced as the carrier (the message was replayed meanwhile) can still report that it was delivered; its
  failures are only logged.
]]
local id, carrier, outcome, keep, now, patience, gone, entries, bytes = unpack(ARGV, 1, 9)
local key = message(id)
local m = redis.call('HMGET', key, 'state', 'destination', 'at', 'carrier', 'type', 'job')
local state, destination = m[1], m[2]
if not state then return { '', '' } end

local to = state
if outcome == 'delivered' then
  to = 'delivered'
elseif state == 'pending' and carrier == m[4] then
  if outcome == 'failed' then to = 'failed' else redis.call('HINCRBY', key, 'step', 1) end
end
if to ~= state then move(id, destination, m[3], state, to) end
if redis.call('EXISTS', key) == 1 then redis.call('PEXPIRE', key, keep) end
if #ARGV < 10 then return { to, '' } end

local attempt = redis.call('HINCRBY', key, 'attempts', 1)
local endpoint = TAG .. ':endpoint:' .. destination
-- A job's own webhook has no endpoint to show its attempts, and an endpoint may be gone.
if redis.call('EXISTS', endpoint) == 0 then return { to, '' } end

local log = TAG .. ':attempts:' .. destination
local function size_of(fields)
  local sum = 0
  for _, field in ipairs(fields) do sum = sum + #field end
  return sum
end
local fields = { 'message', id, 'event', m[5], 'job', m[6], 'attempt', tostring(attempt), unpack(ARGV, 10) }
redis.call('XADD', log, '*', unpack(fields))
redis.call('PEXPIRE', log, keep)
local logged = redis.call('HINCRBY', endpoint, 'logged', size_of(fields))
while logged > tonumber(bytes) or redis.call('XLEN', log) > tonumber(entries) do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not oldest then break end
  redis.call('XDEL', log, oldest[1])
  logged = redis.call('HINCRBY', endpoint, 'logged', -size_of(oldest[2]))
end

if outcome == 'delivered' then
  redis.call('HDEL', endpoint, 'failing')
  return { to, '' }
end
redis.call('HSETNX', endpoint, 'failing', now)
local since = tonumber(redis.call('HGET', endpoint, 'failing'))
local reason = ''
if gone == '1' then reason = 'gone' elseif now - since >= tonumber(patience) then reason = 'failing' end
if reason ~= '' then redis.call('HSET', endpoint, 'disabled', reason) end
return { to, reason }
