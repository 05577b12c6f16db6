"""From bytes to JSON values, strictly: RFC 8259 plus limits. What a request means is not known here, and nothing is sent."""

import json
from typing import Final

import orjson

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


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Twice
    return members


def _integer(digits: str) -> int:
    if len(digits) <= _INTEGER_DIGITS_MAX:
        number = int(digits)
        if _INTEGER_MIN <= number <= _INTEGER_MAX:
            return number
    raise _TooLarge


# Built once: building a decoder costs more than using it.
_SCAN: Final = json.JSONDecoder(object_pairs_hook=_once, parse_int=_integer).decode


def parse(body: bytes, *, depth_max: int, batch_max: int) -> object:
    """The JSON value of a message, either one element or a batch.

    Raises: Malformed with -32700 for what is no JSON text (RFC 8259: UTF-8 without a byte order mark; no NaN or Infinity) or is
    nested deeper than `depth_max`, and with -32600 for an ambiguous single message, an empty batch, or one above `batch_max`.
    An ambiguous element of a batch is a Malformed in its place, so that it fails alone.
    """
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed(
            -32700,
            "parse_error",
            f"The body must be one JSON text in UTF-8 without a byte order mark, nested at most {depth_max} deep.",
        ) from None
    if type(tree) is list:
        _check_size(len(tree), batch_max)
    # No text nests deeper than it has brackets, so most texts need no look at the tree.
    if body.count(b"{") + body.count(b"[") > depth_max and _is_deeper(tree, depth_max):
        raise Malformed(-32700, "too_deep", f"The body may be nested at most {depth_max} deep.")
    text = body.decode()
    try:
        _SCAN(text)
    except _Ambiguous as wrong:
        if type(tree) is list:
            return _apart(text, tree)
        raise _malformed(wrong) from None
    return tree


def _check_size(size: int, batch_max: int) -> None:
    if size == 0:
        raise Malformed(-32600, "empty_batch", "A batch must hold at least one request.")
    if size > batch_max:
        raise Malformed(-32600, "batch_too_large", f"A batch may hold at most {batch_max} requests; split it.")


def _malformed(wrong: _Ambiguous) -> Malformed:
    if isinstance(wrong, _Twice):
        return Malformed(-32600, "duplicate_member", "An object names a member twice; send each name once.")
    return Malformed(-32600, "number_out_of_range", "Integers must fit in 64 bits; send larger ones as strings.")


def _apart(text: str, tree: list[object]) -> list[object]:
    """The same batch with a Malformed in the place of each ambiguous element."""
    elements: list[object] = []
    for element, raw in zip(tree, _raw_elements(text), strict=True):
        try:
            _SCAN(raw)
        except _Ambiguous as wrong:
            elements.append(_malformed(wrong))
        else:
            elements.append(element)
    return elements


def _raw_elements(text: str) -> list[str]:
    """The texts of a valid array's elements."""
    scan = json.JSONDecoder(parse_int=str).raw_decode
    raw: list[str] = []
    blank = " \t\r\n"
    at = len(text) - len(text.lstrip(blank)) + 1
    while True:
        while text[at] in blank:
            at += 1
        _, end = scan(text, at)
        raw.append(text[at:end])
        while text[end] in blank:
            end += 1
        if text[end] == "]":
            return raw
        at = end + 1


def _is_deeper(tree: object, depth_max: int) -> bool:
    level = [tree]
    for _ in range(depth_max):
        below: list[object] = []
        for value in level:
            if type(value) is dict:
                below.extend(inner for inner in value.values() if type(inner) in (dict, list))
            elif type(value) is list:
                below.extend(inner for inner in value if type(inner) in (dict, list))
        if not below:
            return False
        level = below
    return True
