#!lua flags=allow-oom
-- @include lib
--[[
  The pieces of a job's answers after one that is known, a page at a time. Who follows the job says so with it: from then
  on what is written is told in messages as well (text.lua).

  ARGV     job id, number of the last piece that is known, most pieces, bytes after the first, ms for which it counts as
           followed (0: it is only read)
  Output   0: the job is not there, else { whether there are more, pieces: { number, item, packed piece } }
]]
local id, after, most, bytes, followed = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local key = record(id)
local state = redis.call('HGET', key, 'state')
if not state then return 0 end
if followed > 0 and is_open(state) then redis.call('HSET', key, 'followed', now_ms() + followed) end
local page, size = {}, 0
-- Pieces may be large: more than a page has room for are not copied to find its end.
local SLICE = 16
while true do
  local entries = redis.call('XRANGE', text_of(id), '(' .. after .. '-0', '+', 'COUNT', SLICE)
  for _, entry in ipairs(entries) do
    local packed = entry[2][4]
    size = size + #packed
    if #page == most or (#page > 0 and size > bytes) then return { 1, page } end
    after = string.match(entry[1], '^%d+')
    page[#page + 1] = { tonumber(after), tonumber(entry[2][2]), packed }
  end
  if #entries < SLICE then return { 0, page } end
end
