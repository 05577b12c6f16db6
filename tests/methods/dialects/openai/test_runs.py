"""Chunks that are read as a run give what they give one by one, whatever stands between them and however they arrive."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from methods.dialects.canonical import StreamEvent, TextDelta
from methods.dialects.openai import OpenAI
from methods.dialects.openai_chunks import SameChunks
from tests.methods.dialects.openai.wire import chunk, sse


def plain(text: str, **more: Any) -> bytes:
    return sse(chunk({"content": text}, **more), done=False)


def spaced(text: str) -> bytes:
    return b"data: " + json.dumps(chunk({"content": text})).encode() + b"\n\n"


OTHERS = [
    sse(chunk({"role": "assistant", "content": ""}), done=False),
    sse(chunk({"content": "second", "refusal": None}), done=False),
    sse(chunk({"reasoning_content": "hm"}), done=False),
    sse(
        chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '"content":'}}]}),
        done=False,
    ),
    sse(chunk({"content": "!"}, "stop"), done=False),
    sse(chunk({"content": "x"}, usage={"prompt_tokens": 1, "completion_tokens": 2}), done=False),
    sse({**chunk({}), "choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": None}]}, done=False),
    sse({**chunk({"content": "x"}), "error": {"message": "no"}}, done=False),
    plain("hidden", obfuscation="ab"),
    b": ping\n\n",
    b"event: error\ndata: {}\n\n",
    b"event: x\n",
    b"\n",
    plain("crlf").replace(b"\n", b"\r\n"),
    plain("cut").replace(b'"cut"', b'"a","b'),
    plain("cut").replace(b'"cut"', b'"a","b"'),
    plain("cut").replace(b'"cut"', b'"'),
    plain("cut").replace(b'"cut"', b"7"),
    plain("cut")[:-9],
    b"data: [DONE]\n\n",
]
TEXTS = st.one_of(
    st.sampled_from(["a", "", '"', "\\", "\n\n", 'data: {"content":"x"}', "é", "\x00", "😀"]), st.text(max_size=5)
)
PIECES = st.one_of(TEXTS.map(plain), TEXTS.map(plain), TEXTS.map(spaced), st.sampled_from(OTHERS))


def outcome(reads: list[bytes]) -> tuple[list[StreamEvent], bool] | str:
    parser = OpenAI().event_parser()
    events: list[StreamEvent] = []
    try:
        for data in reads:
            events.extend(parser.feed(data))
    except ValueError:
        return "refused"
    return events, parser.is_complete


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=24), st.lists(st.integers(1, 1500), max_size=12))
@example([plain(word) for word in "abcdefgh"] + [OTHERS[4], OTHERS[-1]], [5000])
@example([plain("a"), plain("b"), OTHERS[14], OTHERS[16], plain("c")], [])
def test_any_grouping_gives_what_single_bytes_give(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    reads, at = [], 0
    for size in cuts:
        reads.append(stream[at : at + size])
        at += size
    reads.append(stream[at:])
    assert outcome(reads) == outcome([stream[place : place + 1] for place in range(len(stream))])


def test_a_run_is_found_between_other_events() -> None:
    same = SameChunks()
    same.learn(plain("a")[6:-2], "a")
    before, texts, after = same.split(OTHERS[0] + plain("b") + plain('"c"\n') + OTHERS[4]) or (b"", [], b"")
    assert (before, texts, after) == (OTHERS[0], ["b", '"c"\n'], OTHERS[4])
    assert same.split(plain("b") + OTHERS[2] + plain("c")) is None


def test_a_vendor_whose_chunks_never_agree_is_given_up() -> None:
    same = SameChunks()
    same.learn(plain("a", obfuscation="1")[6:-2], "a")
    for place in range(8):
        assert same.split(plain("b", obfuscation="x" * place) * 3) is None
    assert same.size_min > 2**32
    parser = OpenAI().event_parser()
    parser.feed(b"".join([plain("a", obfuscation="x" * place) for place in range(20)]))
    assert parser.feed(plain("z", obfuscation="y") * 4) == [TextDelta("z")] * 4
