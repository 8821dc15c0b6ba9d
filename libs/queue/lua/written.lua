#!lua flags=no-writes
-- @include lib
--[[
  The pieces of one answer, from its latest back, a page at a time: those of the job's other answers are not looked at.

  ARGV     job id, item, number of the piece to begin with (0: its latest), most pieces, bytes after the first
  Output   { number of the piece to go on with (0: that was the first one), packed pieces, latest first }
]]
local id, n, seq, most, bytes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if seq == '0' then seq = redis.call('HGET', record(id), 'last' .. n) or '0' end
local page, size = {}, 0
while seq ~= '0' do
  local entry = redis.call('XRANGE', text_of(id), seq .. '-0', seq .. '-0')[1]
  if not entry then break end
  local packed, before = entry[2][4], entry[2][6]
  size = size + #packed
  if #page == most or (#page > 0 and size > bytes) then return { tonumber(seq), page } end
  page[#page + 1], seq = packed, before
end
return { 0, page }
