#!lua flags=allow-oom
-- @include lib
--[[
  After a forward pass: stores the outputs of a micro-batch under the fence, ends the jobs that are complete, and announces
  them. The fence is the chunk's BullMQ lock: whoever lost it writes nothing.

  ARGV[1]  msgpack { chunks, runs, maxBytes, outputPauseMs (between two events of outputs) }; the first two are maps of lists
           with a place per chunk or run (a row of neighbouring items of one slice with their results):
           chunks   id, token
           runs     chunk (which), job, slice, first, last, used (tokens of the answer, -1: not told),
                    attempts (that failed before, of each of its items), failed (how many of the results are errors; -1: there
                    are no results, each item is to be tried again and its attempts count one more)
  ARGV[2]  packed JobError for results that are too large
  ARGV[n]  packed results, in the order of the runs, from the third argument on
  Output   per run 1: written, 0: the job had ended or the items were done, -1: the lock is lost,
           -2: some of the items were done: publish them one by one
]]
local arg = cmsgpack.unpack(ARGV[1])
local chunks, runs = arg.chunks, arg.runs
local now, out, held = now_ms(), {}, {}
for c, chunk in ipairs(chunks.id) do held[c] = holds(chunk, chunks.token[c]) end

-- Takes back begin's mark of these items; where only some of a run failed, it is published in smaller runs than it began.
local function unmark(key, mark_field, marks, first, last)
  local found = false
  local rest = string.gsub(marks or '', ' (%d+)%-(%d+);', function(from, to)
    from, to = tonumber(from), tonumber(to)
    if found or from > first or to < last then return nil end
    found = true
    local before = from < first and ' ' .. from .. '-' .. (first - 1) .. ';' or ''
    return before .. (to > last and ' ' .. (last + 1) .. '-' .. to .. ';' or '')
  end)
  if rest == '' then redis.call('HDEL', key, mark_field) else redis.call('HSET', key, mark_field, rest) end
end

-- An answer is charged for what was made of it, and answers to come for what is made of them on average. An item that
-- generates is a slice of its own.
local function charge(key, slice, tenant, place, used)
  local c = redis.call('HMGET', key, 'charge' .. slice, 'made' .. slice)
  if not c[1] then return end
  local tokens = used < 0 and tonumber(c[2] or 0) or used
  correct(tenant, place, tokens - tonumber(c[1]))
  redis.call('HDEL', key, 'charge' .. slice)
  local mean = tonumber(redis.call('HGET', STATE, 'answer') or DEFAULT_ANSWER)
  if used >= 0 then redis.call('HSET', STATE, 'answer', exact(mean + (used - mean) / 16)) end
end

for i, id in ipairs(runs.job) do
  local slice, first, last, failed, result = runs.slice[i], runs.first[i], runs.last[i], runs.failed[i], ARGV[i + 2]
  local key = record(id)
  local mask_field, mark_field = 'mask' .. slice, IN_FLIGHT .. slice
  local r = redis.call('HMGET', key, 'state', 'items', 'at' .. slice, mask_field, mark_field, 'done', 'failed', 'bytes',
    HAS_FAILURES, 'parts', SUBSCRIBED, 'tenant', OUTPUT_EVENT_AT, 'place')
  if not held[runs.chunk[i]] then
    out[i] = -1
  elseif not r[1] or not is_open(r[1]) then
    out[i] = 0
  else
    local start, count = string.match(r[3], '^(%d+) (%d+)$')
    start, count = tonumber(start), tonumber(count)
    local mask = r[4] or string.rep('0', count)
    local from, to = first - start + 1, last - start + 1
    local items = to - from + 1
    local fresh = select(2, string.gsub(string.sub(mask, from, to), '0', ''))
    if r[9] then
      for n = first, last do redis.call('HDEL', key, 'strikes' .. n) end
    end
    if fresh == 0 then
      out[i] = 0
    elseif fresh < items then
      out[i] = -2
    elseif failed < 0 then
      unmark(key, mark_field, r[5], first, last)
      -- Sent again, because the reply was lost, an attempt counts once.
      for n = first, last do redis.call('HSET', key, 'attempts' .. n, runs.attempts[i] + 1) end
      redis.call('HSET', key, HAS_FAILURES, 1)
      out[i] = 1
    else
      out[i] = 1
      if r[14] then charge(key, slice, r[12], r[14], runs.used[i]) end
      local done, failures = tonumber(r[6] or 0) + items, tonumber(r[7] or 0) + failed
      local bytes = tonumber(r[8] or 0) + #result
      -- An array's outputs are numbered as they come: this run has the numbers up to `done`.
      if r[10] and bytes <= arg.maxBytes then
        redis.call('XADD', TAG .. ':parts:' .. id, done .. '-0', 'first', first, 'last', last)
      end
      if bytes > arg.maxBytes then
        finish(id, 'failed', now, { 'error', ARGV[2] })
      elseif done == tonumber(r[2]) then
        local state = failures == done and 'failed' or 'completed'
        finish(id, state, now, { 'out' .. first, result, 'done', done, 'failed', failures }, bytes)
      else
        mask = string.sub(mask, 1, from - 1) .. string.rep('1', items) .. string.sub(mask, to + 1)
        redis.call('HSET', key, 'out' .. first, result, 'done', done, 'failed', failures, 'bytes', bytes, mask_field, mask)
        unmark(key, mark_field, r[5], first, last)
        if not string.find(mask, '0', 1, true) then redis.call('HDEL', key, 'in' .. slice) end
        if r[10] then moved[#moved + 1] = full_id(id) end
        if subscribes(r[11], 'o') and now - tonumber(r[13] or 0) >= arg.outputPauseMs then
          redis.call('HSET', key, OUTPUT_EVENT_AT, now)
          emit(id, r[12], 'output', now)
        end
      end
    end
  end
end
settle()
return out
