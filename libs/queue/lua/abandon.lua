#!lua flags=allow-oom
-- @include lib
--[[
  Ends a page of one tenant's jobs as failed, those of them that have not ended: nobody is left who could run them.

  ARGV     tenant, place in its list of jobs to begin at, packed JobError
  Output   how many places were looked at
]]
local PAGE = 200
local tenant, from, detail = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = now_ms()
local page = redis.call('ZRANGE', TAG .. ':index:' .. tenant, from, from + PAGE - 1)
for _, id in ipairs(page) do
  local state = redis.call('HGET', record(id), 'state')
  if state and is_open(state) then
    finish(id, 'failed', now, { 'error', detail })
    redis.call('PUBLISH', 'shoal:dropped', full_id(id))
  end
end
settle()
return #page
