#!lua
-- @include lib
--[[
  A file is whole: from now on its tenant sees it. Of uploads with one Idempotency-Key the first one counts.

  ARGV     id, tenant, ms until it expires ('': never), Idempotency-Key ('': none), fingerprint of the upload
  Output   'file', id and fields of the file; 'gone' where it is not being written any more; 'conflict' where the key
           was used for another upload
]]
local id, tenant, expiry, key, print = unpack(ARGV)
local r = redis.call('HMGET', record(id), 'tenant', 'state', 'purpose', 'bytes', 'held')
if r[1] ~= tenant then return { 'gone' } end
if r[2] == 'writing' then
  local now = now_ms()
  if key ~= '' then
    local use = TAG .. ':key:' .. tenant .. ':' .. key
    local before = redis.call('GET', use)
    local print_before, file_before = string.match(before or '', '^(%S+) (%S+)$')
    if file_before and is_there(file_before, tenant, now) then
      drop(id, now)
      if print_before ~= print then return { 'conflict' } end
      return { 'file', file_before, redis.call('HGETALL', record(file_before)) }
    end
    redis.call('SET', use, print .. ' ' .. id)
    redis.call('HSET', record(id), 'key', key)
  end
  redis.call('HSET', record(id), 'state', 'ready', 'held', r[4], 'expires', expiry == '' and '' or now + expiry)
  hold(tenant, 0, r[4] - r[5])
  redis.call('ZREM', DUE, id)
  if expiry ~= '' then redis.call('ZADD', DUE, now + expiry, id) end
  redis.call('ZADD', index(tenant), 0, id)
  redis.call('ZADD', index(tenant, r[3]), 0, id)
end
return { 'file', id, redis.call('HGETALL', record(id)) }
