"""Where in a text the first value stands that no strict reader of JSON takes. Looked for after a refusal; it decides nothing."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

_BYTES_MAX: Final = 256 * 1024
_OBJECTS_MAX: Final = 4_000
_VALUES_MAX: Final = 20_000
"""What is looked through, of a text and of what it holds: a batch of a thousand events. Anybody may send what nobody can read, so
it must cost little."""
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NAME_CHARS: Final = 64
_INTEGERS: Final = range(-(2**63), 2**64)


class _Odd:
    """Stands for what is read in two ways, or in none."""


_ODD: Final = _Odd()


def place_of(body: bytes) -> str | None:
    """As `params.events[3].units`; None where it is the whole, not found soon, or the text is no JSON even loosely."""
    if len(body) > _BYTES_MAX:
        return None
    hook = _members if body.count(b"{") <= _OBJECTS_MAX else None
    read = json.JSONDecoder(object_pairs_hook=hook, parse_constant=lambda _: _ODD).decode
    try:
        tree = read(body.decode())
    except (ValueError, RecursionError):
        return None
    return "".join(map(_shown, _steps_to_first(tree))).removeprefix(".") or None


def _steps_to_first(tree: object) -> list[object]:
    """The names and numbers that lead to the first odd value. A path is kept to nothing else: there may be many values."""
    steps: list[object] = []
    inside: list[Iterator[tuple[object, object]]] = [enumerate([tree])]
    left = _VALUES_MAX
    while inside and left:
        for step, value in islice(inside[-1], left):
            left -= 1
            if _is_odd(value):
                return [*steps, step][1:]
            if value and isinstance(value, dict | list):
                steps.append(step)
                inside.append(iter(_held(value)))
                break
        else:
            inside.pop()
            del steps[-1:]
    return []


def _held(value: dict[str, object] | list[object]) -> Iterable[tuple[object, object]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _shown(step: object) -> str:
    if isinstance(step, str):
        return f".{step}" if _PLAIN.fullmatch(step) else f"[{json.dumps(step[:_NAME_CHARS])}]"
    return f"[{step}]"


def _is_odd(value: object) -> bool:
    if isinstance(value, str):
        return _is_half(value)
    return value is _ODD or (type(value) is int and value not in _INTEGERS)


def _is_half(text: str) -> bool:
    """Whether a text holds half of a character, which UTF-8 cannot say."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _members(pairs: list[tuple[str, object]]) -> object:
    found = dict(pairs)
    return _ODD if len(found) < len(pairs) or any(map(_is_half, found)) else found
