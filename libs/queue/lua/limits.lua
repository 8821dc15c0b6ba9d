#!lua flags=allow-oom
-- @include lib
--[[
  What a micro-batch holds on one kind of hardware. Chunks are cut by `batchTokens`, the least of all kinds: a worker with
  larger batches joins chunks, one with smaller would have to take them apart.

  ARGV[1]  kind of hardware
  ARGV[2]  tokens of a micro-batch on it
  ARGV[3]  seconds after which a kind is forgotten that no worker has started on
]]
local key, now = TAG .. ':limits', now_ms()
redis.call('HSET', key, 'kind:' .. ARGV[1], ARGV[2] .. ' ' .. now)
local least = tonumber(ARGV[2])
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
  if fields[i]:sub(1, 5) == 'kind:' then
    local tokens, at = fields[i + 1]:match('^(%d+) (%d+)$')
    if now - tonumber(at) > 1000 * tonumber(ARGV[3]) then
      redis.call('HDEL', key, fields[i])
    else
      least = math.min(least, tonumber(tokens))
    end
  end
end
redis.call('HSET', key, 'batchTokens', least)
