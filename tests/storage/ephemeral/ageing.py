"""Moves what a Valkey has counted into the past: for the scripts, which ask its clock, that is the same as waiting."""

from typing import Any

from storage.ephemeral.limiter import STEP_US

_WINDOW = """
local told = redis.call('HGETALL', KEYS[1])
local left = redis.call('PTTL', KEYS[1]) - ARGV[2]
redis.call('DEL', KEYS[1])
if left <= 0 then return 0 end
for i = 1, #told, 2 do
  local field, value = told[i], told[i + 1]
  local kind, step = string.match(field, '^(%a)(%d*)$')
  if field == 'h' or field == 'l' or kind == 'n' then value = value - ARGV[1] end
  if step ~= '' then field = kind .. string.format('%d', step - ARGV[1]) end
  redis.call('HSET', KEYS[1], field, value)
end
redis.call('PEXPIRE', KEYS[1], left)
return 1
"""
_SLOTS = """
local left = redis.call('PTTL', KEYS[1]) - ARGV[2]
if left <= 0 then return redis.call('DEL', KEYS[1]) end
for _, lease in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -ARGV[2], lease) end
return redis.call('PEXPIRE', KEYS[1], left)
"""


def age(client: Any, steps: int) -> None:
    """Make everything that a server or cluster has counted so many steps older."""
    for key in list(client.scan_iter("*")):
        script = _WINDOW if key.endswith(":w") else _SLOTS
        client.eval(script, 1, key, steps, steps * STEP_US // 1000)
