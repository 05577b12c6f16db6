"""The scripts that run inside Redis or Valkey, where nothing can come in between. They use the server's clock and no other.

A subject has two keys. `KEY:w` is a hash: `r` and `t` are the sums of requests and tokens in the window, `h` and `l` the oldest
and the newest step, and each step N that holds something has `rN`, `tN` and, when a newer one exists, its number as `nN`; so
letting go of what has left costs one look per step that held something. `KEY:s` is a sorted set of the slots in use, each with
the instant in milliseconds when its lease ends. Both go by themselves when nobody touches them.
"""

from typing import Final

from storage.ephemeral.limiter import STEP_US, STEPS

_WINDOW: Final = f"""
local STEP, STEPS = {STEP_US}, {STEPS}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local at = math.floor(now / STEP)

-- Let go of what has left the window of a key and return it: sums of requests and tokens, oldest and newest step.
local function window(key)
  local found = redis.call('HMGET', key, 'r', 't', 'h', 'l')
  local w = {{ key = key, r = tonumber(found[1]) or 0, t = tonumber(found[2]) or 0,
              h = tonumber(found[3]), l = tonumber(found[4]) }}
  if w.l and w.l > at + STEPS then  -- another server with a clock far ahead counted here: that is of no use any more
    redis.call('DEL', key)
    return {{ key = key, r = 0, t = 0 }}
  end
  local moved = false
  while w.h and w.h < at - STEPS do
    local step = redis.call('HMGET', key, 'r' .. w.h, 't' .. w.h, 'n' .. w.h)
    w.r = w.r - (tonumber(step[1]) or 0)
    w.t = w.t - (tonumber(step[2]) or 0)
    redis.call('HDEL', key, 'r' .. w.h, 't' .. w.h, 'n' .. w.h)
    w.h = tonumber(step[3])
    moved = true
  end
  if moved then
    if w.h then
      redis.call('HSET', key, 'r', w.r, 't', w.t, 'h', w.h)
    else
      redis.call('DEL', key)
      return {{ key = key, r = 0, t = 0 }}
    end
  end
  return w
end

local function running(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', math.floor(now / 1000))
  return redis.call('ZCARD', key)
end

local function reset(w)
  if w.h then return math.max((w.h + STEPS + 1) * STEP - now, 0) end
  return 0
end
"""

TAKE: Final = (
    _WINDOW
    + """
-- KEYS: the window and the slots of each subject. ARGV: tokens, lease, its life in milliseconds, then per subject the limits of
-- requests, tokens and slots, -1 where there is none. Answers 1, the step, and four numbers per subject; or 0, the subject,
-- the limit (1 requests, 2 tokens, 3 slots), the wait in microseconds (-1: nobody knows), and the same numbers.
local tokens, lease, life = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local subjects, worst = {}, nil

local function free_at(w, excess, field)
  local step = w.h
  while step do
    excess = excess - (tonumber(redis.call('HGET', w.key, field .. step)) or 0)
    if excess <= 0 then break end
    step = tonumber(redis.call('HGET', w.key, 'n' .. step))
  end
  return ((step or w.l or at) + STEPS + 1) * STEP - now
end

local function lacks(subject, limit, rank, wait)
  if not worst or rank > worst.rank or (rank == worst.rank and wait > worst.wait) then
    worst = { subject = subject, limit = limit, rank = rank, wait = wait }
  end
end

for i = 1, #KEYS / 2 do
  local w = window(KEYS[2 * i - 1])
  local requests, most, slots = tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3])
  w.slots, w.n = KEYS[2 * i], running(KEYS[2 * i])
  subjects[i] = w
  if slots >= 0 and w.n >= slots then lacks(i, 3, 0, -1) end
  if requests == 0 then lacks(i, 1, 2, -1)
  elseif requests > 0 and w.r >= requests then lacks(i, 1, 1, free_at(w, w.r + 1 - requests, 'r')) end
  if most >= 0 and tokens > 0 and w.t + tokens > most then
    if most == 0 then lacks(i, 2, 2, -1)
    elseif w.t ~= 0 then lacks(i, 2, 1, free_at(w, w.t + math.min(tokens - most, 0), 't')) end
  end
end

local answer = worst and { 0, worst.subject, worst.limit, worst.wait } or { 1, at, 0, 0 }
for i, w in ipairs(subjects) do
  if not worst then
    local step = math.max(at, w.l or at)  -- a clock that was set back counts on in the newest step
    if i == 1 then answer[2] = step end
    if w.l ~= step then
      if w.l then redis.call('HSET', w.key, 'n' .. w.l, step) end
      w.h = w.h or step
    end
    w.r, w.t, w.n = w.r + 1, w.t + tokens, w.n + 1
    redis.call('HINCRBY', w.key, 'r' .. step, 1)
    redis.call('HINCRBY', w.key, 't' .. step, tokens)
    redis.call('HSET', w.key, 'r', w.r, 't', w.t, 'h', w.h, 'l', step)
    redis.call('PEXPIRE', w.key, (STEPS + 2) * STEP / 1000)
    redis.call('ZADD', w.slots, math.floor(now / 1000) + life, lease)
    redis.call('PEXPIRE', w.slots, life)
  end
  table.insert(answer, w.r)
  table.insert(answer, w.t)
  table.insert(answer, w.n)
  table.insert(answer, reset(w))
end
return answer
"""
)
"""Check every limit of a call and take all of it, or nothing."""

GIVE_BACK: Final = """
-- KEYS as above. ARGV: lease, the step in which it was taken, and what is added to its requests and tokens.
for i = 1, #KEYS / 2 do
  local key, step = KEYS[2 * i - 1], ARGV[2]
  redis.call('ZREM', KEYS[2 * i], ARGV[1])
  if redis.call('HEXISTS', key, 'r' .. step) == 1 then
    redis.call('HINCRBY', key, 'r', ARGV[3])
    redis.call('HINCRBY', key, 'r' .. step, ARGV[3])
    redis.call('HINCRBY', key, 't', ARGV[4])
    redis.call('HINCRBY', key, 't' .. step, ARGV[4])
  end
end
return 1
"""
"""End a call: free its slots, and put what it really used in the place of what was estimated, if the window still holds it."""

RENEW: Final = """
-- KEYS: the slots of each subject. ARGV: lease, its life in milliseconds.
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
for i = 1, #KEYS do
  redis.call('ZADD', KEYS[i], ends, ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return 1
"""
"""A call still runs: its leases begin anew, also where the server has lost them."""

LOOK: Final = (
    _WINDOW
    + """
local answer = {}
for i = 1, #KEYS / 2 do
  local w = window(KEYS[2 * i - 1])
  table.insert(answer, w.r)
  table.insert(answer, w.t)
  table.insert(answer, running(KEYS[2 * i]))
  table.insert(answer, reset(w))
end
return answer
"""
)
"""Where subjects stand."""
