"""Strict parsing: the quick proof against the slow and obvious reading, and what hostile bodies cost."""

import contextlib
import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.jsonrpc_parse import Malformed, parse


def _obvious(text: bytes) -> str | None:
    """The reason to refuse a text, found by a parser that looks at every name and every integer."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise KeyError
        return dict(pairs)

    def integer(digits: str) -> int:
        if not -(2**63) <= int(digits) < 2**64:
            raise OverflowError
        return int(digits)

    try:
        json.loads(text, object_pairs_hook=members, parse_int=integer)
    except KeyError:
        return "duplicate_member"
    except OverflowError:
        return "number_out_of_range"
    return None


NAMES = st.sampled_from(["a", "b", "", "\\u0061", ":", '\\"', '\\":', "é", "\\\\", "a :"])
BLANK = st.sampled_from(["", "", " ", "\n", "\t ", "\r\n"])
LEAVES = st.sampled_from(["1", "-0", "1e30", "1.5", "true", "null", "[]", "{}", "1E19", "9223372036854775808.0"])
STRINGS = st.sampled_from(['"x"', '"\\":"', '":"', '"\\\\"', '" :"'])
EDGES = st.sampled_from([str(2**64 - 1), str(2**64), str(-(2**63)), str(-(2**63) - 1), "9" * 40])


def _objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(NAMES, BLANK, BLANK, inner, BLANK).map(lambda m: f'"{m[0]}"{m[1]}:{m[2]}{m[3]}{m[4]}')
    return st.lists(member, max_size=4).map(lambda members: "{" + ",".join(members) + "}")


TEXTS = st.recursive(
    LEAVES | STRINGS | EDGES,
    lambda inner: _objects(inner) | st.lists(inner, max_size=4).map(lambda i: "[" + " , ".join(i) + "]"),
)


@given(TEXTS)
@example('{"a" :1,"a":2}')
@example('{"a":{"b":1,"\\u0062":2}}')
@example('{"a":"\\":","a":1}')
@example('{"a":"\\":","b":1}')
@example('{"a":[{},{"x":[{"y":1,"y":1}]}]}')
@settings(deadline=None, max_examples=400)
def test_the_quick_proof_and_the_obvious_reading_agree(text: str) -> None:
    # Inside an object: an array at the top would be a batch, whose elements fail one by one.
    body = b'{"p":' + text.encode() + b"}"
    if _obvious(body) is None:
        assert parse(body, depth_max=64, batch_max=50) == orjson.loads(body)
        return
    with pytest.raises(Malformed) as wrong:
        parse(body, depth_max=64, batch_max=50)
    assert wrong.value.code == -32600
    assert wrong.value.reason in {"duplicate_member", "number_out_of_range"}


@given(st.lists(TEXTS, min_size=1, max_size=5))
@settings(deadline=None, max_examples=100)
def test_each_element_of_a_batch_is_judged_alone(texts: list[str]) -> None:
    value = parse(b"[" + b" ,\n".join(text.encode() for text in texts) + b"]", depth_max=64, batch_max=50)
    assert isinstance(value, list)
    for element, text in zip(value, texts, strict=True):
        if isinstance(element, Malformed):
            assert _obvious(text.encode()) is not None
        else:
            assert _obvious(text.encode()) is None
            assert element == orjson.loads(text)


@pytest.mark.parametrize("depth", [63, 64, 65, 1000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_bounded_exactly(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    body = (opening * depth + closing * depth).replace('{"a":}', "{}").encode()
    if depth <= 64:
        parse(body, depth_max=64, batch_max=50)
        return
    with pytest.raises(Malformed) as wrong:
        parse(body, depth_max=64, batch_max=50)
    assert wrong.value.code == -32700


def test_many_brackets_that_are_not_deep_are_fine() -> None:
    parse(b'{"a":[' + b"[1]," * 500 + b'"[[[[{{{{"]}', depth_max=64, batch_max=50)


FILL = 4 * 1024 * 1024 - 100


@pytest.mark.parametrize(
    ("start", "unit", "end"),
    [
        (b"[1", b",1", b"]"),
        (b'{"p":[1', b",1", b"]}"),
        (b'{"p":[{}', b",{}", b"]}"),
        (b'{"p":[{}', b",{}", b'],"p":1}'),
        (b'[{"p":[{}', b",{}", b'],"p":1}]'),
        (b'{"p":"', b'\\":', b'"}'),
        (b'{"p":"', b"\\\\", b'"}'),
        (b'{"p":[1e30', b",1e30", b"]}"),
    ],
)
def test_a_body_of_the_greatest_size_costs_little_more_than_reading_it(start: bytes, unit: bytes, end: bytes) -> None:
    body = start + unit * (FILL // len(unit)) + end

    def seconds(work: Any) -> float:
        before = time.process_time()
        work()
        return time.process_time() - before

    def judged() -> None:
        with contextlib.suppress(Malformed):
            parse(body, depth_max=64, batch_max=50)

    reading = min(seconds(lambda: json.loads(body)) for _ in range(2))
    found: list[float] = []
    while not found or (found[-1] >= 5 * reading + 0.1 and len(found) < 5):
        found.append(seconds(judged))  # again, where a busy machine took its part
    # The machine's own pace is the measure: jsonschema-like checks take over 100 times the reading, and so does a second parser
    # in Python; we stay within a few times.
    assert min(found) < 5 * reading + 0.1


EVENTS = b'{"jsonrpc":"2.0","id":1,"method":"ingestEvents","params":{"events":[{"event_id":"a"},%b]}}'


@pytest.mark.parametrize(
    ("element", "reason", "place"),
    [
        (b'{"event_id":"b","units":NaN}', "parse_error", "Correct params.events[1].units."),
        (b'{"units":[1,-Infinity]}', "parse_error", "Correct params.events[1].units[1]."),
        (b'{"event_id":"\\ud800"}', "parse_error", "Correct params.events[1].event_id."),
        (b'{"a b":{"\\udc00":1}}', "parse_error", 'Correct params.events[1]["a b"].'),
        (b'{"id":"b","id":"c"}', "duplicate_member", "Correct params.events[1]."),
        (b'{"units":18446744073709551616}', "number_out_of_range", "Correct params.events[1].units."),
        (b'{"units":1,}', "parse_error", "Correct line 1, column "),
        (b'{"units":' + b"1" * 5_000 + b"}", "parse_error", "Correct line 1, column "),
    ],
)
def test_what_cannot_be_read_is_named_by_its_place(element: bytes, reason: str, place: str) -> None:
    """Of a thousand events one has a NaN: whoever sent them must be told which."""
    with pytest.raises(Malformed) as wrong:
        parse(EVENTS % element, depth_max=64, batch_max=9)
    assert wrong.value.reason == reason
    assert place in wrong.value.detail


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[" * 100_000, b'"\\ud800"', b"NaN", b'{"a":1,"a":2}', b"[1" + b" " * 2**21]
)
def test_where_no_place_can_be_named_none_is(body: bytes) -> None:
    with pytest.raises(Malformed) as wrong:
        parse(body, depth_max=64, batch_max=9)
    assert "params" not in wrong.value.detail
    assert "Correct ." not in wrong.value.detail


@pytest.mark.parametrize("unit", [b"1,", b'{"a":[1]},', b"{},", b'"x",'])
def test_no_place_is_looked_for_among_very_many_values(unit: bytes) -> None:
    """Anybody may send what nobody can read, so finding the place costs no more than a look at some thousands of values."""
    for count in (30_000, 300_000):
        with pytest.raises(Malformed) as wrong:
            parse(b"[" + unit * count + b"NaN]", depth_max=64, batch_max=9)
        assert wrong.value.detail.endswith(f"Correct line 1, column {1 + len(unit) * count + 1}.")
