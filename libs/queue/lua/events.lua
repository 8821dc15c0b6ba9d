#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  What a reader of a job's events needs to go on: how the job stands, and which runs of items were published after those
  it knows of. The outputs of at most `limit` of these runs come along, and of no more than `bytes` after the first.

  ARGV     job id, number of the last item it knows of, limit, bytes
  Output   0: not there, else { record without results (as read.lua), runs }
           run = { number of its last item, first item, last item, packed results }
]]
local id, after, limit, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local key = record(id)
local r = redis.call('HMGET', key, 'state', 'tenant', 'meta', 'created', 'started', 'ended', 'expires', 'deadline',
  'tokens', 'items', 'done', 'failed', 'error')
if not r[1] then return 0 end
local runs, bytes = {}, 0
for _, entry in ipairs(redis.call('XRANGE', TAG .. ':parts:' .. id, '(' .. after .. '-0', '+', 'COUNT', limit)) do
  local first, last = entry[2][2], entry[2][4]
  local result = redis.call('HGET', key, 'out' .. first)
  bytes = bytes + #result
  if #runs > 0 and bytes > most then break end
  runs[#runs + 1] = { tonumber(string.match(entry[1], '^%d+')), tonumber(first), tonumber(last), result }
end
return { r, runs }
