"""Server-sent events come out the same however the bytes were cut on the way."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.sse import EventReader, EventTooLarge

STREAM = (
    b'\xef\xbb\xbf: hello\n\nevent: first\ndata: {"a":1}\n\ndata:two\r\ndata: lines\r\n\r\nid: 7\rretry: 5\rdata\r\r'
    b"data: gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80\n\nevent: only a name\n\n: ping\ndata:  two spaces\nunknown: x\n\n\n\n"
    b"event:\ndata: nameless\n\ndata: cut off"
)
EVENTS = [
    (b"first", b'{"a":1}'),
    (None, b"two\nlines"),
    (None, b""),
    (None, b"gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80"),
    (None, b" two spaces"),
    (None, b"nameless"),
]


def read(pieces: list[bytes], reader: EventReader | None = None) -> list[tuple[bytes | None, bytes]]:
    reader = reader or EventReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def test_every_rule_of_the_format_is_read_and_a_cut_off_event_is_none() -> None:
    assert read([STREAM]) == EVENTS


def test_every_split_into_two_pieces_gives_the_same_events() -> None:
    for cut in range(len(STREAM) + 1):
        assert read([STREAM[:cut], STREAM[cut:]]) == EVENTS, cut


def test_single_bytes_and_empty_pieces_give_the_same_events() -> None:
    assert read([STREAM[i : i + 1] for i in range(len(STREAM))]) == EVENTS
    assert read([piece for byte in range(len(STREAM)) for piece in (STREAM[byte : byte + 1], b"")]) == EVENTS


line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
line = st.one_of(
    st.just(b""),
    st.binary(max_size=8).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")),
    st.sampled_from([b"data: x", b"data:y", b"data", b"event: e", b": c", b"id: 1"]),
)


@settings(deadline=None)
@given(st.lists(st.tuples(line, line_ends), max_size=12), st.data())
def test_any_bytes_give_the_same_events_at_any_splits(lines: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    stream = b"".join(text + end for text, end in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    bounds = [0, *cuts, len(stream)]
    pieces = [stream[start:stop] for start, stop in itertools.pairwise(bounds)]
    assert read(pieces) == read([stream])


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: " + b"x" * 200 + b"\n\n"],
        [b"data: " + b"x" * 60, b"y" * 60],
        [b"data: 12345678901234567890\n"] * 6,
        [b"event: " + b"n" * 50 + b"\n", b"data: " + b"x" * 60],
        [b": " + b"c" * 200],
    ],
)
def test_an_event_above_the_bound_is_refused_before_it_is_complete(pieces: list[bytes]) -> None:
    with pytest.raises(EventTooLarge, match="100 bytes"):
        read(pieces, EventReader(max_bytes=100))


def test_any_number_of_events_and_comments_below_the_bound_are_read() -> None:
    reader = EventReader(max_bytes=100)
    for _ in range(50):
        assert reader.feed(b": keep-alive, thirty bytes long\n" * 5 + b"data: " + b"x" * 80 + b"\n\n") == [
            (None, b"x" * 80)
        ]
