"""Streams give the same events at any split, sum to the complete reply, and satisfy the official client's models."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.canonical import (
    ChatReply,
    ChatRequest,
    Finished,
    FinishReason,
    Part,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UsageSeen,
    VendorError,
)
from methods.dialects.openai import OpenAI
from methods.dialects.openai_usage import render_usage
from methods.dialects.sse import EventReader
from storage.records.usage import Usage
from tests.methods.dialects.openai.wire import chunk, collected, sse

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
FULL = sse(
    chunk({"role": "assistant", "content": "", "refusal": None}, usage=None),
    chunk({"reasoning_content": "Hm, "}),
    chunk({"content": None, "reasoning": "well."}),
    chunk({"content": "Grüße "}, usage=None, obfuscation="x1"),
    chunk({"content": "😀"}),
    chunk({"role": "assistant", "content": "!"}),
    chunk({"content": ""}),
    chunk({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
    chunk({"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
    chunk({}, "tool_calls"),
    {**chunk({}), "choices": [], "usage": USAGE},
)
FULL_EVENTS: list[StreamEvent] = [
    Started("chatcmpl-1", "gpt-4o"),
    ReasoningDelta("Hm, ", 0),
    ReasoningDelta("well.", 0),
    TextDelta("Grüße ", 1),
    TextDelta("😀", 1),
    TextDelta("!", 1),
    ToolCallDelta(0, "c1", "f", ""),
    ToolCallDelta(0, None, None, '{"a"'),
    ToolCallDelta(1, "c2", "g", "{}"),
    ToolCallDelta(0, None, None, ":1}"),
    Finished("tool_calls", "tool_calls"),
    UsageSeen(Usage(input=9, output=3)),
]


def read(*pieces: bytes) -> list[StreamEvent]:
    parser = OpenAI().event_parser()
    return [event for piece in pieces for event in parser.feed(piece)]


def chunks_of(stream: bytes) -> Iterator[Any]:
    from openai.types.chat import ChatCompletionChunk  # noqa: PLC0415 - heavy, and only these tests want it

    events = EventReader().feed(stream)
    assert events[-1] == (None, b"[DONE]")
    for name, data in events[:-1]:
        assert name is None
        yield ChatCompletionChunk.model_validate(orjson.loads(data), strict=True)


def written(events: Sequence[StreamEvent], *, wants_usage: bool = True) -> bytes:
    request = ChatRequest("asked", (), is_stream=True, wants_stream_usage=wants_usage)
    renderer = OpenAI().event_renderer(request, created=1700000000, reply_id="chatcmpl-9")
    return b"".join([renderer.render(event) for event in events]) + renderer.close()


def test_a_stream_is_read_whole() -> None:
    assert read(FULL) == FULL_EVENTS


def test_every_split_position_gives_the_same_events() -> None:
    for cut in range(len(FULL) + 1):
        assert read(FULL[:cut], FULL[cut:]) == FULL_EVENTS, cut


def test_byte_by_byte_gives_the_same_events() -> None:
    assert read(*[FULL[place : place + 1] for place in range(len(FULL))]) == FULL_EVENTS


def test_collected_deltas_equal_the_complete_reply() -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    message = {"role": "assistant", "reasoning_content": "Hm, well.", "content": "Grüße 😀!", "tool_calls": calls}
    body: Any = {"id": "chatcmpl-1", "model": "gpt-4o", "usage": USAGE}
    body["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    assert collected(read(FULL)) == OpenAI().parse_reply(body)


def test_a_stream_is_complete_after_a_finish_reason_or_done_and_never_before() -> None:
    parser = OpenAI().event_parser()
    parser.feed(sse(chunk({"role": "assistant", "content": "Hi"}), chunk({"content": " you"}), done=False))
    assert not parser.is_complete
    parser.feed(sse(chunk({}, "stop"), done=False))
    assert parser.is_complete

    without_reason = OpenAI().event_parser()
    assert list(without_reason.feed(sse(chunk({"content": "Hi"})))) == [
        Started("chatcmpl-1", "gpt-4o"),
        TextDelta("Hi"),
        Finished("other"),
    ]
    assert without_reason.is_complete


def test_a_stream_without_any_answer_is_not_complete() -> None:
    parser = OpenAI().event_parser()
    assert list(parser.feed(b"data: [DONE]\n\n")) == []
    assert not parser.is_complete


def test_what_follows_the_end_is_ignored() -> None:
    assert read(FULL + sse(chunk({"content": "late"})) + b"data: garbage\n\n") == FULL_EVENTS


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            {"message": "Slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"},
            VendorError(429, "rate_limit_error", "Slow down", code="rate_limit_exceeded"),
        ),
        ({"message": "Overloaded", "code": 503}, VendorError(503, "overloaded_error", "Overloaded")),
        ({"message": "Bad", "code": "400", "type": "BadRequestError"}, VendorError(400, "BadRequestError", "Bad")),
        ("it broke", VendorError(500, "server_error", "it broke")),
        ({"type": "server_error"}, VendorError(500, "server_error", "the stream failed")),
    ],
)
def test_an_error_inside_the_stream_is_an_error_and_no_end(error: Any, expected: VendorError) -> None:
    parser = OpenAI().event_parser()
    events = list(parser.feed(sse(chunk({"content": "Hi"}), {"error": error})))
    assert events[2:] == [expected]
    assert not parser.is_complete


def test_an_error_beside_a_finish_reason_is_an_error() -> None:
    failed = {**chunk({"content": ""}, "error"), "error": {"code": 502, "message": "upstream"}}
    assert read(sse(chunk({"content": "Hi"}), failed))[-1] == VendorError(502, "server_error", "upstream")


def test_an_error_event_of_a_compatible_vendor_is_an_error() -> None:
    flat = b'event: error\ndata: {"message":"no","type":"invalid_request_error"}\n\n'
    assert read(flat) == [VendorError(400, "invalid_request_error", "no")]
    assert read(sse({"object": "error", "message": "no", "code": 400})) == [
        VendorError(400, "invalid_request_error", "no")
    ]


@pytest.mark.parametrize("garbage", [b"<html>", b'{"a":', b"[1]", b"null", b'"x"', b"\xff\xfe"])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="event of the stream"):
        read(b"data: " + garbage + b"\n\n")


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "delta", "content", "tool_calls", "index", "finish_reason", "usage", "error"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_breaks_the_reader_but_by_value_error(value: Any) -> None:
    parser = OpenAI().event_parser()
    parser.feed(sse(chunk({"content": "Hi"}), done=False))
    try:
        parser.feed(sse(value, {"choices": [value]}, {"choices": [{"delta": value}]}, {"choices": [], "usage": value}))
    except ValueError as refused:
        assert "stream" in str(refused) or "reply" in str(refused)  # noqa: PT017 - both ways out are allowed


def test_tool_calls_without_an_index_are_told_apart_by_their_id() -> None:
    function = {"name": "f", "arguments": "{}"}
    events = read(
        sse(
            chunk({"tool_calls": [{"id": "a", "function": function}, {"id": "b", "function": function}]}),
            chunk({"tool_calls": [{"id": "b", "function": {"arguments": " "}}]}),
            chunk({"tool_calls": [{"function": {"arguments": " "}}]}, "stop"),
        )
    )
    assert [(event.index, event.id) for event in events if isinstance(event, ToolCallDelta)] == [
        (0, "a"),
        (1, "b"),
        (1, None),
        (1, None),
    ]
    assert events[-1] == Finished("tool_calls", "stop")


def test_a_refusal_is_text_that_ends_filtered() -> None:
    events = read(sse(chunk({"role": "assistant", "content": None}), chunk({"refusal": "No."}), chunk({}, "stop")))
    assert events[1:] == [RefusalDelta("No."), Finished("content_filter", "stop")]


def test_absent_zero_and_present_usage_in_a_stream_are_three_things() -> None:
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert collected(read(sse(chunk({"content": "x"}, "stop")))).usage is None
    assert collected(read(sse(chunk({"content": "x"}, "stop", usage=zero)))).usage == Usage()
    assert collected(read(sse(chunk({"content": "x"}, "stop", usage=USAGE)))).usage == Usage(input=9, output=3)


def test_a_written_stream_has_role_deltas_finish_usage_and_end_in_this_order() -> None:
    first, *rest = chunks_of(written(FULL_EVENTS))
    assert (first.id, first.created, first.model) == ("chatcmpl-9", 1700000000, "gpt-4o")
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert all(chunk.usage is None for chunk in rest[:-1])
    assert rest[-2].choices[0].finish_reason == "tool_calls"
    assert rest[-1].choices == []
    assert rest[-1].usage.to_dict() == render_usage(Usage(input=9, output=3))
    fragments = [call for chunk in rest[:-1] for call in chunk.choices[0].delta.tool_calls or []]
    assert [(call.index, call.id, call.type, call.function.name) for call in fragments] == [
        (0, "c1", "function", "f"),
        (0, None, None, None),
        (1, "c2", "function", "g"),
        (0, None, None, None),
    ]


def test_usage_is_written_only_for_clients_that_asked_and_only_if_it_is_known() -> None:
    assert b'"usage"' not in written(FULL_EVENTS, wants_usage=False)
    unknown = [event for event in FULL_EVENTS if not isinstance(event, UsageSeen)]
    assert all(chunk.usage is None for chunk in chunks_of(written(unknown)))


def test_a_stream_that_opens_with_text_still_begins_with_the_role() -> None:
    first, second, *_ = chunks_of(written([TextDelta("Hi"), TextDelta(" you")]))
    assert first.choices[0].delta.role == "assistant"
    assert first.model == "asked"
    assert second.choices[0].delta.content == "Hi"


def test_a_failed_stream_ends_with_its_error_and_no_done() -> None:
    stream = written([Started("1", "m"), TextDelta("Hi"), VendorError(529, "overloaded_error", "Busy")])
    *_, last = EventReader().feed(stream)
    assert orjson.loads(last[1]) == {
        "error": {"message": "Busy", "type": "overloaded_error", "param": None, "code": "529"}
    }
    assert read(stream)[-1] == VendorError(529, "overloaded_error", "Busy")


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@st.composite
def streams(draw: st.DrawFn) -> list[StreamEvent]:
    events: list[StreamEvent] = [Started("chatcmpl-9", draw(texts))]
    events += [ReasoningDelta(text) for text in draw(st.lists(texts, max_size=3))]
    events += [TextDelta(text) for text in draw(st.lists(texts, max_size=3))]
    calls = draw(st.integers(0, 2))
    for index in range(calls):
        events.append(ToolCallDelta(index, f"c{index}", "f", draw(texts)))
        events += [ToolCallDelta(index, arguments=text) for text in draw(st.lists(texts, max_size=2))]
    reason: FinishReason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    events.append(Finished(reason, reason))
    usage = draw(
        st.none() | st.builds(Usage, input=st.integers(0, 99), reasoning=st.integers(0, 9), output=st.integers(0, 99))
    )
    return events if usage is None else [*events, UsageSeen(usage)]


@settings(deadline=None)
@given(streams())
def test_any_stream_survives_the_way_out_and_in_again(events: list[StreamEvent]) -> None:
    stream = written(events)
    assert collected(read(stream)) == collected(events)
    assert len(list(chunks_of(stream))) >= 2


names = st.text("abcdef_", min_size=1, max_size=8)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    parts: list[Part] = [Reasoning(text) for text in draw(st.lists(texts, max_size=1))]
    parts += [Text(text) for text in draw(st.lists(texts, max_size=1))]
    parts += [ToolCall(call, draw(names), draw(texts)) for call in draw(st.lists(names, max_size=2))]
    calls = any(isinstance(part, ToolCall) for part in parts)
    reason: FinishReason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    usage = draw(
        st.none() | st.builds(Usage, input=st.integers(0, 99), cache_read=st.integers(0, 9), output=st.integers(0, 9))
    )
    extra = draw(st.fixed_dictionaries({"created": st.integers(0, 9)}, optional={"system_fingerprint": texts}))
    return ChatReply(draw(names), tuple(parts), reason, usage, draw(names), reason, None, "openai", {**extra})


@settings(deadline=None)
@given(replies())
def test_any_reply_survives_the_way_out_and_in_again(reply: ChatReply) -> None:
    assert OpenAI().parse_reply(OpenAI().render_reply(reply)) == reply


def test_nothing_beside_plain_text_is_overlooked_once_the_text_has_begun() -> None:
    opened = chunk({"content": "Hi"})
    other_choice = {**opened, "choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": None}]}
    assert read(sse(opened, chunk({"content": "!"}, usage=USAGE), done=False))[2:] == [
        TextDelta("!"),
        UsageSeen(Usage(input=9, output=3)),
    ]
    assert read(sse(opened, chunk({"content": "!"}, "length"), done=False))[2:] == [
        TextDelta("!"),
        Finished("length", "length"),
    ]
    assert read(sse(opened, {**opened, "error": {"message": "no"}}, done=False))[2:] == [
        VendorError(500, "server_error", "no")
    ]
    assert read(sse(opened, other_choice, done=False))[2:] == []


def test_a_stream_that_fails_after_its_finish_reason_is_not_complete() -> None:
    parser = OpenAI().event_parser()
    parser.feed(sse(chunk({"content": "Hi"}, "stop"), {"error": {"message": "no"}}))
    assert not parser.is_complete
