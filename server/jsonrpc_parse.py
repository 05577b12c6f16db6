"""From bytes to JSON values, strictly: RFC 8259 plus limits. What a request means is not known here, and nothing is sent."""

import json
import re
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from server.json_places import place_of

_INTEGER_DIGITS_MAX: Final = 20
_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**64 - 1


class Malformed(Exception):  # it becomes a reply, not a Fault: no floor below knows of envelopes
    """The text or the envelope is wrong. `code` is -32700 or -32600; `detail` is a sentence for the caller."""

    def __init__(self, code: int, reason: str, detail: str, rpc_id: str | float | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.reason = reason
        self.detail = detail
        self.rpc_id = rpc_id


class _Ambiguous(Exception):  # never leaves this module
    """A value that two readers would read differently."""


class _Twice(_Ambiguous):
    """A member name occurs twice in one object."""


class _TooLarge(_Ambiguous):
    """An integer that does not fit in 64 bits; orjson would silently round it to a float."""


_EXACT: Final = frozenset({str, int, bool, type(None)})
"""Types of values that are read as they were written and hold nothing."""
_FLAT: Final = _EXACT | {float}
"""Types of values that hold nothing."""
_ROUNDED_FROM: Final = float(2**63)
"""A float of this size may have been written as an integer beyond 64 bits."""
_BLANKS: Final = b" \t\r\n"
_SPACE: Final = re.compile(r"[ \t\r\n]*+")
_MEMBERS_MAX: Final = 64
"""Of a message that is taken apart: it holds hardly anything but its elements."""
_SCAN: Final = json.JSONDecoder(parse_int=str).raw_decode
"""Where a value of a text ends, read more loosely than `parse` reads it."""
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"(?:[ \t\r\n]*+(:))?', re.DOTALL)
"""A string of a valid JSON text, with the colon that makes it a name."""


def _integer(digits: str) -> int:
    if len(digits) <= _INTEGER_DIGITS_MAX:
        number = int(digits)
        if _INTEGER_MIN <= number <= _INTEGER_MAX:
            return number
    raise _TooLarge


# Built once: building a decoder costs more than using it.
_READ_INTEGERS: Final = json.JSONDecoder(parse_int=_integer).decode


def parse(body: bytes, *, depth_max: int, batch_max: int) -> object:
    """The JSON value of a message, either one element or a batch.

    Raises: Malformed with -32700 for what is no JSON text (RFC 8259: UTF-8 without a byte order mark; no NaN or Infinity) or is
    nested deeper than `depth_max`, and with -32600 for an ambiguous single message, an empty batch, or one above `batch_max`.
    An ambiguous element of a batch is a Malformed in its place, so that it fails alone.
    """
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        rule = f"The body must be one JSON text in UTF-8 without a byte order mark, nested at most {depth_max} deep."
        where = place_of(body) or (f"line {wrong.lineno}, column {wrong.colno}" if wrong.pos else None)
        raise Malformed(-32700, "parse_error", rule + _looked_at(where)) from None
    if type(tree) is list:
        _check_size(len(tree), batch_max)
    weight = _weigh(tree)
    # Each level but the last holds something, so most values need no second look.
    if weight.holders >= depth_max and _is_deeper(tree, depth_max):
        raise Malformed(-32700, "too_deep", f"The body may be nested at most {depth_max} deep.")
    try:
        _judge(body, weight)
    except _Ambiguous as wrong:
        if type(tree) is list:
            return _apart(body.decode(), tree)
        raise _malformed(wrong, _looked_at(place_of(body))) from None
    return tree


def _looked_at(where: str | None) -> str:
    return "" if where is None else f" Correct {where}."


def _judge(body: bytes, weight: "_Weight") -> None:
    """Compare a value with its text. Raises: _Twice, _TooLarge.

    A parser that keeps one of two members of the same name yields fewer members than the text has names, so the two counts
    decide, and nothing is parsed again. Every name ends in a quote and a colon, with blanks at most between them; strings may
    hold such pairs too, so counting these can only give too many: where that cheap count equals the members, no name was lost.
    Otherwise the names are counted exactly.
    """
    if body.translate(None, _BLANKS).count(b'":') != weight.members:
        named = sum(1 for colon in _STRING.findall(body) if colon)
        if named != weight.members:
            raise _Twice
    if weight.may_be_rounded:
        _READ_INTEGERS(body.decode())


class _Weight(NamedTuple):
    """What a value holds."""

    members: int
    """Of all objects together."""
    holders: int
    """Objects and arrays that are not empty."""
    may_be_rounded: bool
    """Whether a float is so large that it may have been written as an integer beyond 64 bits."""


def _weigh(tree: object) -> _Weight:
    members = 0
    may_be_rounded = type(tree) is float and abs(tree) >= _ROUNDED_FROM
    holders: list[object] = [tree] if type(tree) is dict or type(tree) is list else []
    for holder in holders:  # it grows as it is read
        values: Iterable[Any] = ()  # JSON of any kind
        if type(holder) is dict:
            members += len(holder)
            values = holder.values()
        elif type(holder) is list and not _EXACT.issuperset(map(type, holder)):
            values = holder
        for value in values:
            kind = type(value)
            if kind is str:
                continue
            if kind is dict or kind is list:
                if value:
                    holders.append(value)
            elif kind is float and abs(value) >= _ROUNDED_FROM:
                may_be_rounded = True
    return _Weight(members, len(holders), may_be_rounded)


def _check_size(size: int, batch_max: int) -> None:
    if size == 0:
        raise Malformed(-32600, "empty_batch", "A batch must hold at least one request.")
    if size > batch_max:
        raise Malformed(-32600, "batch_too_large", f"A batch may hold at most {batch_max} requests; split it.")


def _malformed(wrong: _Ambiguous, where: str = "") -> Malformed:
    if isinstance(wrong, _Twice):
        return Malformed(-32600, "duplicate_member", f"An object names a member twice; send each name once.{where}")
    return Malformed(
        -32600, "number_out_of_range", f"Integers must fit in 64 bits; send larger ones as strings.{where}"
    )


def _apart(text: str, tree: list[object]) -> list[object]:
    """The same batch with a Malformed in the place of each ambiguous element."""
    elements: list[object] = []
    for element, raw in zip(tree, _raw_elements(text, _past_blanks(text, 0), len(tree))[0], strict=True):
        try:
            _judge(raw.encode(), _weigh(element))
        except _Ambiguous as wrong:
            elements.append(_malformed(wrong))
        else:
            elements.append(element)
    return elements


def apart(body: bytes, name: str, wrong: Malformed, *, depth_max: int, batch_max: int) -> list[object]:
    """The elements of a message that could not be read as a whole, each read by itself: a Malformed in the place of each bad one.

    They are those of an array, or of the array that the message's member `name` is. Raises: `wrong`, which is why the message
    could not be read, where it is no such thing or no element can be read; Malformed for more than `batch_max`.
    """
    try:
        text = body.decode()
        at = _past_blanks(text, 0)
        depth, read = (1, _raw_elements) if text[at] == "[" else (2, partial(_raw_member, name=name))
        raw, at = read(text, at, batch_max)
        if _past_blanks(text, at) < len(text):
            raise wrong
    except (ValueError, IndexError, RecursionError):  # no JSON, not even loosely
        raise wrong from None
    elements = [_read(one, depth_max - depth) for one in raw]
    if all(isinstance(element, Malformed) for element in elements):
        raise wrong
    return elements


def _read(text: str, depth_max: int) -> object:
    try:
        found = parse(b"[%b]" % text.encode(), depth_max=depth_max + 1, batch_max=1)  # an array among them is no batch
    except Malformed as wrong:
        return wrong
    assert isinstance(found, list), "the text of an array is read as one"
    return found[0]


def _raw_member(text: str, at: int, size_max: int, *, name: str) -> tuple[list[str], int]:
    """As `_raw_elements`, of the array that is the only member of this name of the object that begins here."""
    raw: list[str] | None = None
    for place in range(_MEMBERS_MAX):
        if text[at] != (",{"[place == 0]):
            break
        said = _past_blanks(text, at + 1)
        member, at = _SCAN(text, said)
        at = _past_blanks(text, at)
        if text[said] != '"' or text[at] != ":" or (member == name and raw is not None):
            raise ValueError
        at = _past_blanks(text, at + 1)
        if member == name:
            raw, at = _raw_elements(text, at, size_max)
        else:
            at = _SCAN(text, at)[1]
        at = _past_blanks(text, at)
    if text[at] != "}" or raw is None:
        raise ValueError
    return raw, at + 1


def _raw_elements(text: str, at: int, size_max: int) -> tuple[list[str], int]:
    """The texts of the elements of the array that begins here, and where it has ended.

    Raises: ValueError and IndexError where none begins; Malformed for more than `size_max`.
    """
    raw: list[str] = []
    if text[at] != "[":
        raise ValueError
    while text[at] != "]":
        at = _past_blanks(text, at + 1)
        _, end = _SCAN(text, at)
        raw.append(text[at:end])
        _check_size(len(raw), size_max)
        at = _past_blanks(text, end)
        if text[at] not in ",]":
            raise ValueError
    return raw, at + 1


def _past_blanks(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _is_deeper(tree: object, depth_max: int) -> bool:
    level = [tree]
    for _ in range(depth_max):
        below: list[object] = []
        for value in level:
            if type(value) is dict:
                inside: Iterable[object] = value.values()
            elif type(value) is list:
                inside = value
            else:
                continue
            if not _FLAT.issuperset(map(type, inside)):
                below.extend(inner for inner in inside if type(inner) in (dict, list))
        if not below:
            return False
        level = below
    return True
