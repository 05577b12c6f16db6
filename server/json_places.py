"""Where in a text the first value stands that no strict reader of JSON takes. Looked for after a refusal; it decides nothing."""

import json
import re
from collections.abc import Iterator
from typing import Final

_BYTES_MAX: Final = 1024 * 1024
"""Of a text that is looked through: some hundredths of a second."""
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NAME_CHARS: Final = 64
_INTEGERS: Final = range(-(2**63), 2**64)
_DIGITS_MAX: Final = 20


class _Odd:
    """Stands for what is read in two ways, or in none."""


def place_of(body: bytes) -> str | None:
    """As `params.events[3].units`; None where it is the whole, nothing is found, or the text is no JSON even loosely."""
    if len(body) > _BYTES_MAX:
        return None
    try:
        tree = json.JSONDecoder(object_pairs_hook=_members, parse_int=_integer, parse_constant=_constant).decode(
            body.decode()
        )
    except (ValueError, RecursionError):
        return None
    return next((path.removeprefix(".") for path, value in _values(tree) if _is_odd(value)), None) or None


def _values(tree: object) -> Iterator[tuple[str, object]]:
    """Every value behind its path, in the order of the text."""
    left: list[tuple[str, object]] = [("", tree)]
    while left:
        path, value = left.pop()
        yield path, value
        if isinstance(value, dict):
            left += reversed([(path + _step(name), inner) for name, inner in value.items()])
        elif isinstance(value, list):
            left += reversed([(f"{path}[{at}]", inner) for at, inner in enumerate(value)])


def _step(name: str) -> str:
    return f".{name}" if _PLAIN.fullmatch(name) else f"[{json.dumps(name[:_NAME_CHARS])}]"


def _is_odd(value: object) -> bool:
    if isinstance(value, dict):
        return any(_is_odd(name) for name in value)
    return isinstance(value, _Odd) or (isinstance(value, str) and not value.isascii() and _is_half(value))


def _is_half(text: str) -> bool:
    """Whether a text holds half of a character, which UTF-8 cannot say."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _members(pairs: list[tuple[str, object]]) -> object:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Odd()


def _integer(digits: str) -> object:
    return 0 if len(digits) <= _DIGITS_MAX and int(digits) in _INTEGERS else _Odd()


def _constant(_: str) -> object:
    return _Odd()
