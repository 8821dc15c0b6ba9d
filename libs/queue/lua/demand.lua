#!lua flags=no-writes
-- @include lib
--[[
  What the autoscaling number is made of. Not allow-stale: a replica that has lost its master must refuse, since an old
  reading may say that there is nothing to do.

  Output   now, unfinished jobs, their tokens, tokens a second that arrived as of `arrived` (Unix ms), `arrived`,
           tokens a second of a replica, cold starts in seconds, speeds by fleet size as a flat list of sizes and what JSON
           says of them; what was never written is false
]]
local r = redis.call('HMGET', STATE, 'jobs', 'tokens', 'arriving', 'arrived')
local rate = redis.call('HGET', TAG .. ':limits', 'replicaRate')
local starts, speeds = redis.call('LRANGE', TAG .. ':coldstarts', 0, -1), redis.call('HGETALL', TAG .. ':speeds')
return { now_ms(), r[1], r[2], r[3], r[4], rate, starts, speeds }
