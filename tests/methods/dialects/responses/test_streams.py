"""Streams of the Responses API, both ways: order, numbers, ids, and what the vendor's own SDK makes of them."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.canonical import (
    ChatRequest,
    Finished,
    Message,
    ReasoningDelta,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCallDelta,
    UsageSeen,
    VendorError,
)
from methods.dialects.responses import Responses
from methods.dialects.sse import EventReader
from storage.records.usage import Usage

REQUEST = ChatRequest("asked", (Message("user", (Text("Hi"),)),), is_stream=True)
EVENTS: list[StreamEvent] = [
    Started("r1", "m"),
    ReasoningDelta("Hm", 0),
    ReasoningDelta(".", 0),
    ReasoningDelta("", 0, signature="SEAL"),
    TextDelta("Hé ", 1),
    TextDelta("🎉", 1),
    TextDelta("more", 2),
    ToolCallDelta(0, "c1", "weather", '{"city":'),
    ToolCallDelta(0, arguments='"Bonn"}'),
    ToolCallDelta(1, "c2", "weather", "{}"),
    Finished("tool_calls"),
    UsageSeen(Usage(input=10, cache_read=5, output=7, reasoning=3)),
]


def written(events: Sequence[StreamEvent], request: ChatRequest = REQUEST) -> bytes:
    writer = Responses().event_renderer(request, created=7, reply_id="resp_1")
    return b"".join([*map(writer.render, events), writer.close()])


def read(wire: bytes) -> list[dict[str, Any]]:
    frames = EventReader().feed(wire)
    events = [orjson.loads(data) for _, data in frames]
    assert [name.decode() for name, _ in frames if name] == [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def test_the_events_come_in_the_vendors_order_and_number_themselves_from_zero() -> None:
    assert [event["type"].removeprefix("response.") for event in read(written(EVENTS))] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_every_event_is_one_by_the_vendors_own_types_and_its_sdk_gathers_the_reply() -> None:
    from openai import omit  # noqa: PLC0415  # heavy
    from openai.lib.streaming.responses._responses import ResponseStreamState  # noqa: PLC0415  # heavy
    from openai.types.responses import ResponseStreamEvent  # noqa: PLC0415  # heavy
    from pydantic import TypeAdapter  # noqa: PLC0415  # only here

    types: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    state: Any = ResponseStreamState(input_tools=[], text_format=omit)
    gathered: Any = None
    for event in read(written(EVENTS)):
        for told in state.handle_event(types.validate_python(event, strict=True)):
            gathered = told
    assert gathered.type == "response.completed"
    assert gathered.response.output_text == "Hé 🎉more"
    calls = [item for item in gathered.response.output if item.type == "function_call"]
    assert [(call.call_id, call.arguments) for call in calls] == [("c1", '{"city":"Bonn"}'), ("c2", "{}")]
    assert gathered.response.usage.output_tokens_details.reasoning_tokens == 3


def test_the_end_holds_the_same_items_as_the_events_before_it() -> None:
    events = read(written(EVENTS))
    whole = events[-1]["response"]
    assert whole["output"] == [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert (whole["status"], whole["model"], whole["created_at"], whole["id"]) == ("completed", "m", 7, "resp_1")
    assert whole["output"][0]["encrypted_content"] == "SEAL"
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [event["item"]["id"] for event in added] == [item["id"] for item in whole["output"]]
    assert [event["output_index"] for event in added] == [0, 1, 2, 3]


def test_a_stream_reads_back_as_it_was_written_at_any_split() -> None:
    wire = written(EVENTS)
    for size in (1, 7, len(wire)):
        parser = Responses().event_parser()
        events = [e for at in range(0, len(wire), size) for e in parser.feed(wire[at : at + size])]
        assert parser.is_complete
        assert [event for event in events if isinstance(event, ReasoningDelta)] == EVENTS[1:4]
        assert "".join([event.text for event in events if isinstance(event, TextDelta)]) == "Hé 🎉more"
        assert [event for event in events if isinstance(event, Finished)] == [Finished("tool_calls", "completed")]
        assert EVENTS[-1] in events
        assert Started("resp_1", "asked") in events or Started("resp_1", "m") in events


@pytest.mark.parametrize(
    ("reason", "end"),
    [("stop", "completed"), ("length", "incomplete"), ("content_filter", "incomplete"), ("error", "failed")],
)
def test_the_last_event_is_named_after_the_ending(reason: Any, end: str) -> None:
    last = read(written([TextDelta("a"), Finished(reason)]))[-1]
    assert (last["type"], last["response"]["status"]) == (f"response.{end}", end)
    assert last["response"]["usage"] is None


def test_a_stream_that_was_cut_gets_no_end() -> None:
    assert read(written([TextDelta("a")]))[-1]["type"] == "response.output_text.delta"


def test_a_failure_raises_in_the_sdk_and_ends_the_answer_for_other_readers() -> None:
    events = read(written([Started("r", "m"), TextDelta("a"), VendorError(429, "rate_limit_error", "slow")]))
    error, failed = events[-2:]
    assert error["error"] == {
        "message": "slow",
        "type": "rate_limit_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow"}
    parser = Responses().event_parser()
    found = parser.feed(written([VendorError(429, "rate_limit_error", "slow")]))
    assert [event for event in found if isinstance(event, VendorError)] == [
        VendorError(429, "rate_limit_error", "slow", code="rate_limit_exceeded")
    ]
    assert not parser.is_complete


def test_arguments_that_come_late_still_belong_to_their_own_call() -> None:
    late: list[StreamEvent] = [
        ToolCallDelta(0, "c1", "a", "["),
        ToolCallDelta(1, "c2", "b", "{}"),
        ToolCallDelta(0, arguments="]"),
        Finished("tool_calls"),
    ]
    output = read(written(late))[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [("c1", "[]"), ("c2", "{}")]


def frame(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (
            [frame("error", code="server_error", message="no", param=None)],
            VendorError(500, "server_error", "no", code="server_error"),
        ),
        (
            [frame("error", error={"type": "insufficient_quota", "message": "pay"})],
            VendorError(429, "insufficient_quota", "pay"),
        ),
        (
            [
                frame(
                    "response.failed",
                    response={"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}},
                )
            ],
            VendorError(429, "rate_limit_exceeded", "slow", code="rate_limit_exceeded"),
        ),
        (
            [
                frame(
                    "response.failed",
                    response={"status": "failed", "error": {"code": "invalid_prompt", "message": "bad"}},
                )
            ],
            VendorError(400, "invalid_prompt", "bad", code="invalid_prompt"),
        ),
        ([frame("response.refusal.delta", delta="No.", output_index=0, content_index=0)], TextDelta("No.", 0)),
        (
            [
                frame(
                    "response.output_item.added",
                    output_index=3,
                    item={"type": "function_call", "call_id": "c", "name": "n"},
                ),
                frame("response.function_call_arguments.done", output_index=3, arguments="{}"),
            ],
            ToolCallDelta(0, arguments="{}"),
        ),
        (
            [frame("response.output_item.done", output_index=0, item={"type": "reasoning", "encrypted_content": "S"})],
            ReasoningDelta("", 0, "S", is_redacted=True),
        ),
        (
            [frame("response.reasoning_text.delta", delta="raw", output_index=0, content_index=0)],
            ReasoningDelta("raw", 0),
        ),
    ],
)
def test_an_event_of_the_vendor_is_read(frames: list[bytes], expected: StreamEvent) -> None:
    assert Responses().event_parser().feed(b"".join(frames))[-1] == expected


def test_of_an_item_that_tells_its_thinking_twice_only_one_is_read_and_paragraphs_are_kept() -> None:
    def thought(kind: str, delta: str, summary_index: int = 0) -> bytes:
        return frame(f"response.reasoning_{kind}.delta", delta=delta, output_index=0, summary_index=summary_index)

    wire = (
        thought("summary_text", "a")
        + thought("text", "raw")
        + frame("response.reasoning_summary_part.added", output_index=0, summary_index=1, part={})
        + thought("summary_text", "b", 1)
    )
    events = Responses().event_parser().feed(wire)
    assert "".join([event.text for event in events if isinstance(event, ReasoningDelta)]) == "a\n\nb"


def test_a_seal_counts_when_its_item_ends_and_arguments_that_came_only_then_are_not_lost() -> None:
    item = {"type": "reasoning", "encrypted_content": "unfinished"}
    begun = frame("response.output_item.added", output_index=0, item=item)
    assert Responses().event_parser().feed(begun) == []
    call = {"type": "function_call", "call_id": "c", "name": "n"}
    wire = frame("response.output_item.added", output_index=0, item={**call, "arguments": ""})
    wire += frame("response.output_item.done", output_index=0, item={**call, "arguments": "{}"})
    assert Responses().event_parser().feed(wire) == [ToolCallDelta(0, "c", "n"), ToolCallDelta(0, arguments="{}")]
    late = frame("response.output_item.done", output_index=0, item={**call, "arguments": "{}"})
    assert Responses().event_parser().feed(late) == [ToolCallDelta(0, "c", "n", "{}")]


@pytest.mark.parametrize("wire", [b"data: no json\n\n", b"data: [1]\n\n"])
def test_what_is_no_event_is_refused(wire: bytes) -> None:
    with pytest.raises(ValueError, match="an event of the stream"):
        Responses().event_parser().feed(wire)


def test_a_stream_passes_to_a_client_of_the_same_dialect_as_it_is_but_for_errors() -> None:
    wire = written(EVENTS)
    for size in (5, len(wire)):
        passer = Responses().passer(REQUEST)
        passed = b"".join([passer.feed(wire[at : at + size]) for at in range(0, len(wire), size)])
        assert passed + passer.close() == wire
    for unnamed in (b'data: {"error":{"message":"secret"}}\n\n', b'data: {"type":"error","message":"secret"}\n\n'):
        assert Responses().passer(REQUEST).feed(unnamed) == b""
    failed = written([Started("r", "m"), TextDelta("a"), VendorError(500, "", "secret")])
    passer = Responses().passer(REQUEST)
    passed = passer.feed(failed) + passer.close()
    assert b"secret" not in passed
    assert read(passed)[-1]["type"] == "response.output_text.delta"


PIECES = st.one_of(
    st.builds(TextDelta, st.text(max_size=9), st.integers(0, 2)),
    st.builds(ReasoningDelta, st.text(min_size=1, max_size=9), st.integers(3, 4)),
    st.builds(lambda i, a: ToolCallDelta(i, f"c{i}", "t", a), st.integers(0, 2), st.text(max_size=9)),
)


@given(st.lists(PIECES, max_size=12))
@settings(deadline=None, max_examples=100)
def test_nothing_is_lost_whatever_the_order(pieces: list[StreamEvent]) -> None:
    events = read(written([Started("r", "m"), *pieces, Finished("stop")]))
    output = events[-1]["response"]["output"]
    said = "".join([part["text"] for item in output if item["type"] == "message" for part in item["content"]])
    thought = "".join([part["text"] for item in output if item["type"] == "reasoning" for part in item["summary"]])
    calls = {item["call_id"]: item["arguments"] for item in output if item["type"] == "function_call"}
    assert said == "".join([piece.text for piece in pieces if isinstance(piece, TextDelta)])
    assert thought == "".join([piece.text for piece in pieces if isinstance(piece, ReasoningDelta)])
    for index in range(3):
        given_ = [piece.arguments for piece in pieces if isinstance(piece, ToolCallDelta) and piece.index == index]
        assert calls.get(f"c{index}", "") == "".join(given_)
    assert len(output) == len({item["id"] for item in output})
