-- Takes, adds and gives back units of counters. The first line, with FIELDS, SHARE and SLOT_AGE, is written by
-- counter_script.py, which documents arguments, results and the fields of a counter.

local mode, replica = ARGV[1], 'f:' .. ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function read(index)
  local c, base = {key = KEYS[index]}, 2 + (index - 1) * FIELDS
  c.kind = ARGV[base + 1]
  for position, name in ipairs({'units', 'waiting', 'lease', 'amount', 'burst', 'length', 'age', 's0', 's1', 's2',
                                's3', 'concurrency', 'count', 'sequence', 'shadow', 'taken'}) do
    c[name] = tonumber(ARGV[base + 1 + position])
  end
  local found = redis.call('HMGET', c.key, 'u', 't')
  c.used, c.at = tonumber(found[1]) or 0, tonumber(found[2])
  return c
end

local function fall(c)
  c.most = c.burst
  local elapsed = c.at and now - c.at or 0
  if elapsed >= 0 then
    c.used = math.max(0, c.used - elapsed * c.amount / c.length)
    c.at = now
  elseif -elapsed > c.length then
    c.at = now
  end
end

local function windowed(c)
  c.most = c.amount
  if c.kind == 'q' then
    if not c.at or now < c.at - c.length or now >= c.at + c.length then
      c.at, c.used = now, 0
    end
    c.stop = c.at + c.length
    return
  end
  local starts, index = {c.s0, c.s1, c.s2, c.s3}, 1
  while index < 3 and now >= starts[index + 1] do index = index + 1 end
  local start, stop = starts[index], starts[index + 1]
  if c.at == stop and index < 3 then
    c.stop = starts[index + 2]
  elseif c.at and c.at >= start and c.at < stop then
    c.stop = stop
  else
    c.at, c.used, c.stop = start, 0, stop
  end
end

local function current(c)
  if c.kind == 'r' then fall(c) elseif c.kind ~= 'n' then windowed(c) end
end

local function others_in_flight(c)
  local total, fields = 0, redis.call('HGETALL', c.key)
  for position = 1, #fields, 2 do
    local name = fields[position]
    if string.sub(name, 1, 2) == 'f:' then
      local count, stop, sequence = string.match(fields[position + 1], '^(%d+):(%d+):(%d+)$')
      if tonumber(stop or 0) <= now then
        redis.call('HDEL', c.key, name)
      elseif name == replica then
        c.known = tonumber(sequence)
      else
        total = total + tonumber(count)
      end
    end
  end
  return total
end

local function write(c)
  local left = 1000000
  if c.kind == 'r' then
    left = left + c.used * c.length / c.amount
  elseif c.kind ~= 'n' then
    left = left + c.stop - now
  end
  if c.kind ~= 'n' then
    redis.call('HSET', c.key, 'u', string.format('%.17g', c.used), 't', string.format('%.0f', c.at))
  end
  if c.count >= 0 and c.sequence >= (c.known or 0) then
    if c.count == 0 then
      redis.call('HDEL', c.key, replica)
    else
      redis.call('HSET', c.key, replica, string.format('%d:%.0f:%.0f', c.count, now + SLOT_AGE, c.sequence))
    end
  end
  if c.concurrency >= 0 then left = math.max(left, SLOT_AGE + 1000000) end
  redis.call('PEXPIRE', c.key, string.format('%.0f', math.ceil(left / 1000)))
end

local function take(c)
  c.fits, c.has_slot, c.granted = 1, 1, 0
  if c.kind ~= 'n' then
    local free = c.most - c.used
    c.before = c.used
    if c.units > free and c.units > 0 then c.fits = 0 end
  end
  if c.concurrency >= 0 and c.count >= 0 and others_in_flight(c) + c.count > c.concurrency then c.has_slot = 0 end
end

local function apply(c)
  if c.kind ~= 'n' then
    c.used = c.used + math.max(0, c.units)
    local free = math.max(0, math.floor(c.most - c.used))
    local may_lease = c.kind ~= 'r' or c.before >= c.age * c.amount / c.length
    if may_lease then
      local waiting = math.min(c.waiting, free)
      c.granted = waiting + math.min(c.lease, math.floor((free - waiting) / SHARE))
    end
    c.used = c.used + c.granted
  end
  write(c)
end

local function settle(c)
  if c.kind == 'n' or c.units == 0 then
    -- nothing but requests in flight
  elseif c.units > 0 then
    if c.kind == 'r' then
      c.used = math.min(c.used + c.units, math.max(c.used, c.burst + c.amount))
    else
      c.used = c.used + c.units
    end
  elseif c.kind == 'r' then
    c.used = math.max(0, c.used - math.max(0, -c.units - math.max(0, now - c.taken) * c.amount / c.length))
  elseif c.taken >= c.at then
    c.used = math.max(0, c.used + c.units)
  end
  if c.concurrency >= 0 then others_in_flight(c) end
  write(c)
end

local function result(c, answer)
  local retry, reset, remaining = 0, 0, 0
  if c.kind == 'r' then
    remaining = math.max(0, math.floor(c.most - c.used))
    reset = c.at + c.used * c.length / c.amount
    if c.fits == 0 then
      retry = c.units > c.burst and -1 or math.ceil((c.units - (c.most - c.used)) * c.length / c.amount + c.at) + 1
    end
  elseif c.kind ~= 'n' then
    remaining, reset = math.max(0, c.most - c.used), c.stop
    if c.fits == 0 then retry = c.units > c.amount and -1 or c.stop end
  end
  for _, value in ipairs({c.fits, c.has_slot, c.granted, remaining, math.ceil(c.used), retry, reset}) do
    answer[#answer + 1] = string.format('%.0f', value)
  end
end

local counters, refused = {}, false
for index = 1, #KEYS do
  local c = read(index)
  current(c)
  counters[index] = c
  if mode == 'settle' then
    settle(c)
  else
    take(c)
    if c.shadow == 0 and (c.fits == 0 or c.has_slot == 0) then refused = true end
  end
end
local answer = {string.format('%.0f', now)}
for _, c in ipairs(counters) do
  if mode ~= 'settle' then
    if mode == 'take' and not refused and c.fits == 1 and c.has_slot == 1 then apply(c) end
    result(c, answer)
  end
end
return answer
