#!lua flags=allow-oom
-- @include lib
--[[
  Before a forward pass: marks jobs running and writes down which items are in it, which publishing takes back. Items whose
  mark stays have ended their process. Items of chunks whose lock is lost, of jobs that ended, or past their deadline are
  dropped; the latter end as expired. Sent again, because the first reply was lost, it leaves no second mark.

  ARGV[1]  msgpack { chunks, runs, reached }: the first two are maps of lists with a place per chunk or run (a row of neighbouring
           items of one slice), the last is how far in the fair order this worker has come: V is at least there
           chunks   id, token
           runs     chunk (which), job, slice, first, last
  ARGV[2]  packed JobError for expired jobs
  Output   per run 1: go, 0: nothing to do any more, -1: the lock is lost
]]
local arg = cmsgpack.unpack(ARGV[1])
local chunks, runs = arg.chunks, arg.runs
local now, out, held = now_ms(), {}, {}
local holds_any = false
for c, chunk in ipairs(chunks.id) do
  held[c] = holds(chunk, chunks.token[c])
  holds_any = holds_any or held[c]
end
local order = redis.call('HMGET', STATE, 'virtual', 'jobs')
-- In a queue that is empty by now it starts afresh.
if holds_any and tonumber(order[2] or 0) > 0 and arg.reached > tonumber(order[1] or 0) then
  redis.call('HSET', STATE, 'virtual', exact(arg.reached))
end
for i, id in ipairs(runs.job) do
  local key, mark_field = record(id), IN_FLIGHT .. runs.slice[i]
  if not held[runs.chunk[i]] then
    out[i] = -1
  else
    local r = redis.call('HMGET', key, 'state', 'deadline', mark_field, SUBSCRIBED, 'tenant')
    if not r[1] or not is_open(r[1]) then
      out[i] = 0
    elseif r[2] and tonumber(r[2]) <= now then
      finish(id, 'expired', now, { 'error', ARGV[2] })
      out[i] = 0
    else
      local marks, mark = r[3] or '', ' ' .. runs.first[i] .. '-' .. runs.last[i] .. ';'
      if not string.find(marks, mark, 1, true) then marks = marks .. mark end
      if r[1] == 'queued' then
        redis.call('HSET', key, mark_field, marks, 'state', 'running', 'started', now)
        moved[#moved + 1] = full_id(id)
        if subscribes(r[4], 's') then emit(id, r[5], 'started', now) end
      else
        redis.call('HSET', key, mark_field, marks)
      end
      out[i] = 1
    end
  end
end
settle()
return out
