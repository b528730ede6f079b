-- Counts one request by all of its limits: takes from every one of them or from none.
--
-- KEYS: one for each limit. ARGV[1]: 1 to decide without taking. Then for each limit ten numbers: the algorithm, 1 if it
-- only watches, the least and the most to take, what was taken elsewhere and is owed, and five parameters.
--
-- The answer: 1 if all have room, then for each limit six numbers: 1 if it has room, what is left, microseconds until it is
-- whole again or has room, microseconds until it is this request's turn, how much was taken, and what was left before.
--
-- Time is the store's own, in microseconds. All numbers stay below 2^53, so that nothing is rounded.
local floor, max, min = math.floor, math.max, math.min
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local SLACK = 1000000

-- The point (t, r/parts) later by n intervals of whole + rest/parts.
local function later(t, r, n, whole, rest, parts)
  local sum = r + n * rest
  local carry = floor(sum / parts)
  return t + n * whole + carry, sum - carry * parts
end

-- 1: a bucket is the point in time when it is full again.
local function bucket(state, least, most, owed, whole, rest, parts, depth, depth_rest)
  local full, part = now, 0
  if state then
    full, part = struct.unpack('dd', state)
    if part >= parts then part = 0 end
    if full < now then full, part = now, 0 end
    if full > now + depth + SLACK then full, part = now + depth, depth_rest end
  end
  local last = now + depth
  local function fits(n)
    local t, r = later(full, part, n, whole, rest, parts)
    return t < last or (t == last and r <= depth_rest)
  end
  if owed > 0 then
    full, part = later(full, part, owed, whole, rest, parts)
    if not fits(0) then full, part = last, depth_rest end
  end
  local left = max(0, floor((last - full + (depth_rest - part) / parts) / (whole + rest / parts)))
  while left > 0 and not fits(left) do left = left - 1 end
  while fits(left + 1) do left = left + 1 end
  local turn = full - now
  if left < least then
    local t, r = later(full, part, least, whole, rest, parts)
    local wait = t - last
    if r > depth_rest then wait = wait + 1 end
    return false, left, max(1, wait), turn, 0, struct.pack('dd', full, part), turn
  end
  local taken = min(left, most)
  local before = struct.pack('dd', full, part)
  local untouched = turn + (part > 0 and 1 or 0)
  full, part = later(full, part, taken, whole, rest, parts)
  return true, left, full - now + (part > 0 and 1 or 0), turn, taken, before, untouched, struct.pack('dd', full, part)
end

-- 2: a window that begins anew every period.
local function fixed(state, least, most, owed, period, limit)
  local start = now - now % period
  local count = 0
  if state then
    local begun, counted = struct.unpack('dd', state)
    if begun >= start then count = counted end
  end
  count = min(limit, count + owed)
  local left, reset = limit - count, start + period - now
  local before = struct.pack('dd', start, count)
  if left < least then return false, left, reset, 0, 0, before, reset end
  local taken = min(left, most)
  return true, left, reset, 0, taken, before, reset, struct.pack('dd', start, count + taken)
end

-- 3: a window that slides, by the counts of two fixed ones: the earlier counts by as much of it as is still covered.
local function sliding(state, least, most, owed, period, limit)
  local into = now % period
  local start = now - into
  local count, earlier = 0, 0
  if state then
    local begun, counted, before = struct.unpack('ddd', state)
    if begun >= start then count, earlier = counted, before
    elseif begun == start - period then earlier = counted end
  end
  count = min(limit, count + owed)
  local left = limit - count - floor(earlier * (period - into) / period)
  local before = struct.pack('ddd', start, count, earlier)
  local whole = 0
  if earlier > 0 then whole = period - into end
  if count > 0 then whole = 2 * period - into end
  if left < least then
    local wait
    local room = limit - count - least
    if room >= 0 then
      wait = floor(period - (room + 1) * period / earlier) + 1 - into
    else
      wait = period - into + max(0, floor(period - (limit - least + 1) * period / count) + 1)
    end
    return false, max(0, left), max(1, wait), 0, 0, before, whole
  end
  local taken = min(left, most)
  return true, left, 2 * period - into, 0, taken, before, whole, struct.pack('ddd', start, count + taken, earlier)
end

-- 4: the times of all requests of the last period.
local function log(state, least, most, owed, period, limit)
  local times = state or ''
  local first = 1
  while first <= #times and struct.unpack('d', times, first) <= now - period do first = first + 8 end
  times = string.sub(times, first) .. string.rep(struct.pack('d', now), owed)
  if #times > limit * 8 then times = string.sub(times, #times - limit * 8 + 1) end
  local count = #times / 8
  local left = limit - count
  local whole = 0
  if count > 0 then whole = struct.unpack('d', times, #times - 7) + period - now end
  if left < least then
    local wait = struct.unpack('d', times, (least - left - 1) * 8 + 1) + period - now
    return false, left, max(1, wait), 0, 0, times, whole
  end
  local taken = min(left, most)
  return true, left, period, 0, taken, times, whole, times .. string.rep(struct.pack('d', now), taken)
end

local algorithms = { bucket, fixed, sliding, log }
local states = redis.call('MGET', unpack(KEYS))
local decisions, allowed = {}, true
for i = 1, #KEYS do
  local at = i * 10 - 9
  local owed = tonumber(ARGV[at + 5])
  local room, left, reset, turn, taken, before, whole, after = algorithms[tonumber(ARGV[at + 1])](
    states[i], tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), owed, tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]),
    tonumber(ARGV[at + 8]), tonumber(ARGV[at + 9]), tonumber(ARGV[at + 10]))
  decisions[i] = { room, left, reset, turn, taken, before, whole, after, owed }
  if not room and ARGV[at + 2] ~= '1' then allowed = false end
end
local answer = { allowed and 1 or 0 }
for i = 1, #KEYS do
  local room, left, reset, turn, taken, before, whole, after, owed = unpack(decisions[i], 1, 9)
  local takes = room and allowed
  if not takes then taken = 0 end
  if room and not takes then reset = whole end
  local state, lasts = before, whole
  if takes then state, lasts = after, reset end
  if ARGV[1] ~= '1' and (takes or owed > 0) then
    redis.call('SET', KEYS[i], state, 'PX', floor(lasts / 1000) + 1)
  end
  local at = i * 6 - 4
  answer[at], answer[at + 1], answer[at + 2] = room and 1 or 0, left - taken, reset
  answer[at + 3], answer[at + 4], answer[at + 5] = turn, taken, left
end
return answer
