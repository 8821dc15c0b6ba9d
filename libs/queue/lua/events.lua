#!lua flags=no-writes,allow-stale
-- @include lib
--[[
  What a reader of a job's events needs to go on: how the job stands, and which runs of items were published after those
  it knows of. The outputs of at most `limit` of these runs come along, and of no more than `bytes` after the first.

  ARGV[1]  msgpack { fields, id, after, limit, bytes }: `after` is the number of the last item it knows of
  Output   0: not there, else { values of the fields, runs }
           run = { number of its last item, first item, last item, packed results }
]]
local arg = cmsgpack.unpack(ARGV[1])
local key = record(arg.id)
if redis.call('EXISTS', key) == 0 then return 0 end
local runs, bytes = {}, 0
for _, entry in ipairs(redis.call('XRANGE', TAG .. ':parts:' .. arg.id, '(' .. arg.after .. '-0', '+', 'COUNT', arg.limit)) do
  local first, last = entry[2][2], entry[2][4]
  local result = redis.call('HGET', key, 'out' .. first)
  bytes = bytes + #result
  if #runs > 0 and bytes > arg.bytes then break end
  runs[#runs + 1] = { tonumber(string.match(entry[1], '^%d+')), tonumber(first), tonumber(last), result }
end
return { redis.call('HMGET', key, unpack(arg.fields)), runs }
