-- Shares of limits in Redis or Valkey: the rules of lease_rules.py and the tables of lease_pool.sql, as one script, which runs alone.
-- All keys begin with KEYS[1], which holds a {hash tag}: one node of a cluster has them all.
--   <p>holders   hash: instance -> turn|expires_at|reaped        <p>shares:<counter>  hash: instance -> held|used|settled|need
--   <p>counter:<counter>  hash: spent, ends_at                   <p>of:<instance>     set of the counters that it has a share of
--   <p>wanted    set of the counters that somebody needs more of <p>books    sorted set: the counters of periods, by their end
-- A counter is written with its period, between them a line break, which neither holds.
local p = KEYS[1]
local mode, me, turn, ttl, reap, books_close, keep_seconds, UNBOUNDED =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local now = tonumber(ARGV[9])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1e6
end
local whole = function(n) return string.format('%.0f', n) end

local function parts(text)
  local found = {}
  for part in string.gmatch(text, '[^|]+') do found[#found + 1] = tonumber(part) end
  return found
end

local function holders()
  local found, flat = {}, redis.call('HGETALL', p .. 'holders')
  for i = 1, #flat, 2 do
    local turn_, expires_at, reaped = unpack(parts(flat[i + 1]))
    found[flat[i]] = {turn = turn_, expires_at = expires_at, reaped = reaped == 1}
  end
  return found
end

local function set_holder(name, h)
  redis.call('HSET', p .. 'holders', name, whole(h.turn) .. '|' .. string.format('%.17g', h.expires_at) .. '|' .. (h.reaped and 1 or 0))
end

local function shares(counter)
  local found, flat = {}, redis.call('HGETALL', p .. 'shares:' .. counter)
  for i = 1, #flat, 2 do
    local held, used, settled, need = unpack(parts(flat[i + 1]))
    found[flat[i]] = {held = held, used = used, settled = settled, need = need}
  end
  return found
end

-- Whoever removes the share adds up what it had used; only periods of the calendar keep it.
local function fold(counter, name)
  local text = redis.call('HGET', p .. 'shares:' .. counter, name)
  if not text then return end
  redis.call('HDEL', p .. 'shares:' .. counter, name)
  redis.call('SREM', p .. 'of:' .. name, counter)
  if string.sub(counter, -1) ~= '\n' then
    redis.call('HINCRBY', p .. 'counter:' .. counter, 'spent', whole(parts(text)[2]))
  end
end

local function fold_all(name, only_periods)
  for _, counter in ipairs(redis.call('SMEMBERS', p .. 'of:' .. name)) do
    if not only_periods or string.sub(counter, -1) ~= '\n' then fold(counter, name) end
  end
end

local function reap_dead(all)
  for name, h in pairs(all) do
    if not h.reaped and h.expires_at + reap <= now then
      h.reaped = true
      fold_all(name)
      set_holder(name, h)
    elseif h.reaped and h.expires_at + books_close <= now then
      redis.call('HDEL', p .. 'holders', name)
      all[name] = nil
    end
  end
  for _, counter in ipairs(redis.call('ZRANGEBYSCORE', p .. 'books', '-inf', now - books_close)) do
    for name in pairs(shares(counter)) do fold(counter, name) end
    redis.call('ZREM', p .. 'books', counter)
    redis.call('SREM', p .. 'wanted', counter)
    redis.call('EXPIRE', p .. 'counter:' .. counter, whole(keep_seconds))
  end
end

local function level(limit, demands)
  table.sort(demands)
  for place, demand in ipairs(demands) do
    local share = math.floor(limit / (#demands - place + 1))
    if demand >= share then return share end
    limit = limit - demand
  end
  return math.max(limit, 0) + (demands[#demands] or 0)
end

-- decide() of lease_rules.py, line by line.
local function decide(ask, base, others)
  local held, free, spent, needy, open = base, 0, base, false, false
  for _, o in ipairs(others) do
    held = held + o.held
    free = free + math.max(o.held - o.used, 0)
    spent = spent + o.settled
    needy = needy or o.need > 0
    open = open or o.held ~= o.settled
  end
  local fair, room = nil, UNBOUNDED
  if ask.limit >= 0 then
    room = ask.limit - held - ask.keep
    if room < 0 or needy then
      fair = 0
      if ask.sliding then
        local demands = {ask.need > 0 and UNBOUNDED or ask.keep}
        for _, o in ipairs(others) do demands[#demands + 1] = o.need > 0 and UNBOUNDED or o.held end
        fair = level(ask.limit, demands)
        if ask.used == 0 then fair = math.max(fair, ask.keep + ask.least) end
        room = math.min(room, fair - ask.keep)
      end
    end
  end
  local extra
  if room <= 0 or room < ask.least then extra = 0
  elseif room < ask.need then extra = room
  elseif fair then extra = ask.need
  else extra = ask.need + math.min(ask.want - ask.need, math.floor((room - ask.need) / 2)) end
  if extra < ask.least and ask.alone and ask.limit >= 0 and ask.keep == ask.settled and not open
     and spent + ask.settled < ask.limit then
    extra = ask.least
  end
  local unmet = extra < ask.need and ask.want - extra or 0
  return {held = ask.keep + extra, used = ask.used, settled = ask.settled, need = unmet},
         {ask.keep + extra, fair or -1, held, free, spent}
end

local function heard(all, name) return all[name] and all[name].expires_at > now end

local function exchange(all, asks)
  local grants = {}
  for _, ask in ipairs(asks) do
    local c = p .. 'counter:' .. ask.counter
    if redis.call('HSETNX', c, 'spent', ask.opening) == 1 and not ask.sliding then
      redis.call('ZADD', p .. 'books', ask.ends_at, ask.counter)
    end
    if ask.sliding then redis.call('EXPIRE', c, 86400) redis.call('EXPIRE', p .. 'shares:' .. ask.counter, 86400) end
    local others = {}
    for name, share in pairs(shares(ask.counter)) do
      if name ~= me then
        if not heard(all, name) then share.need = 0 end
        others[#others + 1] = share
      end
    end
    local mine, grant = decide(ask, tonumber(redis.call('HGET', c, 'spent')), others)
    if mine.held == 0 and mine.used == 0 and mine.settled == 0 and mine.need == 0 then
      redis.call('HDEL', p .. 'shares:' .. ask.counter, me)
      redis.call('SREM', p .. 'of:' .. me, ask.counter)
    else
      local text = whole(mine.held) .. '|' .. whole(mine.used) .. '|' .. whole(mine.settled) .. '|' .. whole(mine.need)
      redis.call('HSET', p .. 'shares:' .. ask.counter, me, text)
      redis.call('SADD', p .. 'of:' .. me, ask.counter)
      if ask.sliding then redis.call('EXPIRE', p .. 'shares:' .. ask.counter, 86400) end
    end
    if mine.need > 0 then redis.call('SADD', p .. 'wanted', ask.counter) end
    for i, n in ipairs(grant) do grant[i] = whole(n) end
    grants[#grants + 1] = grant
  end
  return grants
end

local function wanted(all)
  local found = {}
  for _, counter in ipairs(redis.call('SMEMBERS', p .. 'wanted')) do
    local rows, anybody, others = shares(counter), false, false
    for name, share in pairs(rows) do
      anybody = anybody or share.need > 0
      others = others or (share.need > 0 and name ~= me and heard(all, name))
    end
    if not anybody then redis.call('SREM', p .. 'wanted', counter) end
    if others and rows[me] and rows[me].held > 0 then found[#found + 1] = counter end
  end
  return found
end

local function read_asks()
  local asks = {}
  for i = 10, #ARGV, 11 do
    asks[#asks + 1] = {
      counter = ARGV[i], sliding = string.sub(ARGV[i], -1) == '\n', limit = tonumber(ARGV[i + 1]), used = tonumber(ARGV[i + 2]),
      keep = tonumber(ARGV[i + 3]), settled = tonumber(ARGV[i + 4]), least = tonumber(ARGV[i + 5]), need = tonumber(ARGV[i + 6]),
      want = tonumber(ARGV[i + 7]), alone = ARGV[i + 8] == '1', ends_at = ARGV[i + 9], opening = ARGV[i + 10],
    }
  end
  return asks
end

local all = holders()
reap_dead(all)
local holder = all[me]
if mode == 'leave' and (not holder or holder.turn == UNBOUNDED) then return {'left', {}, {}, 0} end
if holder and not holder.reaped and holder.turn >= turn then return {'late', {}, {}, 0} end
local lost = holder and holder.reaped
all[me] = {turn = turn, expires_at = now + ttl, reaped = false}
set_holder(me, all[me])
if lost and mode ~= 'leave' then return {'lost', {}, {}, 0} end
if not holder and turn > 1 then return {'forgotten', {}, {}, 0} end
local grants = lost and {} or exchange(all, read_asks())
if mode == 'leave' then
  -- What it took of windows that slide is kept until they have moved on.
  fold_all(me, true)
  set_holder(me, {turn = UNBOUNDED, expires_at = now, reaped = false})
end
local living = 0
for _, h in pairs(all) do if h.expires_at > now then living = living + 1 end end
return {'ok', grants, wanted(all), living}
