-- Earlier answers in Redis: `put` keeps one, `trim` removes what has ended and then the oldest.
-- Beside the entries stand: `age` (by when they came), `ends` (by when they are over), `sizes` and the sum of those, `bytes`.
local prefix = KEYS[1]
local age, ends, sizes, sum = prefix .. 'age', prefix .. 'ends', prefix .. 'sizes', prefix .. 'bytes'

local function drop(name)
  local size = redis.call('HGET', sizes, name)
  if size then redis.call('DECRBY', sum, size) end
  redis.call('HDEL', sizes, name)
  redis.call('ZREM', age, name)
  redis.call('ZREM', ends, name)
  redis.call('DEL', prefix .. 'entry:' .. name)
end

if ARGV[1] == 'put' then
  local name, body = ARGV[2], ARGV[3]
  drop(name)
  redis.call('SET', prefix .. 'entry:' .. name, body, 'PX', ARGV[6])
  redis.call('ZADD', age, ARGV[4], name)
  redis.call('ZADD', ends, ARGV[5], name)
  redis.call('HSET', sizes, name, #body)
  redis.call('INCRBY', sum, #body)
  return 1
end

local removed, most = 0, tonumber(ARGV[3])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', ARGV[2], 'LIMIT', 0, 1000)) do
  drop(name)
  removed = removed + 1
end
while tonumber(redis.call('GET', sum) or '0') > most do
  local oldest = redis.call('ZRANGE', age, 0, 99)
  if #oldest == 0 then redis.call('DEL', sum) break end
  for _, name in ipairs(oldest) do
    drop(name)
    removed = removed + 1
  end
end
return removed
