#!lua flags=allow-oom
-- @include lib
--[[
  After a step of a generator: appends to the logs of answers what it has made of them, under the fence, and tells followers
  in one message. What is in the log already is skipped, so sending it twice is harmless. An answer that has got on far enough
  since it was claimed has proved that it ends no process: begin's mark is taken back, and strikes. Jobs past their deadline end.

  ARGV[1]  msgpack { chunks, pieces, proven (tokens since the claim that are far enough) }: the first two are maps of lists with
           a place per chunk or piece:
           chunks   id, token
           pieces   chunk (which), job, slice, n (item), from (tokens of the answer before it), count (its tokens),
                    claimed (tokens of the answer when its item was claimed)
  ARGV[2]  packed JobError for expired jobs
  ARGV[n]  packed pieces, from the third argument on
  Output   per piece 2: written and somebody follows the job, 1: written, 0: the job had ended or the item is done,
           -1: the lock is lost, -2: the log ends elsewhere than where this piece begins. Redis has lost the end of it, or
           another holder of the item writes it: whoever claims it anew goes on from where it ends

  The message to `shoal:text:<queue>` is a line of `<ulid> <seq> <n> <bytes>`, with semicolons, and all the packed pieces.
]]
local arg = cmsgpack.unpack(ARGV[1])
local chunks, pieces = arg.chunks, arg.pieces
local now, out, held = now_ms(), {}, {}
-- What Redis needs for an entry, beside what is packed in it.
local ENTRY_BYTES = 16
local heads, bodies = {}, {}
for c, chunk in ipairs(chunks.id) do held[c] = holds(chunk, chunks.token[c]) end

local function write(id, i, packed)
  local key, slice, n, from, to = record(id), pieces.slice[i], pieces.n[i], pieces.from[i], pieces.from[i] + pieces.count[i]
  local r = redis.call('HMGET', key, 'state', 'deadline', 'mask' .. slice, IN_FLIGHT .. slice, 'pieces', 'made' .. n,
    'logged', 'followed', 'last' .. n)
  if not r[1] or not is_open(r[1]) or r[3] then return 0 end
  if r[2] and tonumber(r[2]) <= now then
    finish(id, 'expired', now, { 'error', ARGV[2] })
    return 0
  end
  local followed, made = tonumber(r[8] or 0) > now, tonumber(r[6] or 0)
  if to > made then
    if from ~= made then return -2 end
    local seq = tonumber(r[5] or 0) + 1
    redis.call('XADD', text_of(id), seq .. '-0', 'n', n, 'piece', packed, 'before', r[9] or 0)
    redis.call('HSET', key, 'pieces', seq, 'last' .. n, seq, 'made' .. n, to, 'logged', tonumber(r[7] or 0) + #packed + ENTRY_BYTES)
    if followed then
      heads[#heads + 1], bodies[#bodies + 1] = id .. ' ' .. seq .. ' ' .. n .. ' ' .. #packed, packed
    end
    if r[4] and to - pieces.claimed[i] >= arg.proven then redis.call('HDEL', key, IN_FLIGHT .. slice, 'strikes' .. n) end
  end
  return followed and 2 or 1
end

for i, id in ipairs(pieces.job) do
  out[i] = held[pieces.chunk[i]] and write(id, i, ARGV[i + 2]) or -1
end
if #heads > 0 then
  redis.call('PUBLISH', 'shoal:text:' .. string.sub(TAG, 8, -2), table.concat(heads, ';') .. '\n' .. table.concat(bodies))
end
settle()
return out
