"""Anthropic's Messages API, both ways, judged by the vendor's own SDK types."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.anthropic import Anthropic, untranslatable_fields
from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    ChatReply,
    ChatRequest,
    Finished,
    Image,
    Message,
    Reasoning,
    ReasoningDelta,
    ReasoningSettings,
    ResponseFormat,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    ToolResult,
    UsageSeen,
    VendorError,
)
from monetization.errors import RateLimited
from storage.records.usage import Usage

ASKED = ChatRequest(model="claude-sonnet-5", messages=(Message("user", (Text("Hi"),)),))

GOLDEN: list[dict[str, Any]] = [
    {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    {"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
    {
        "model": "m",
        "max_tokens": 4096,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "b3BhcXVl"},
                    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"x": [1, 2.5, None]}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "no"},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "BBBB"}},
                        ],
                    },
                    {"type": "text", "text": "and?"},
                ],
            },
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "stop_sequences": ["END"],
        "tools": [
            {"name": "look", "description": "Looks", "input_schema": {"type": "object"}, "strict": True},
            {"type": "web_search_20260318", "name": "web_search", "max_uses": 2},
        ],
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "u1"},
        "service_tier": "auto",
        "stream": True,
    },
    {
        "model": "m",
        "max_tokens": 9,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "xhigh"},
        "metadata": {"user_id": "u1", "other": 1},
        "container": "c1",
        "messages": [
            {"role": "system", "content": "Obey"},
            {"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "d"}}]},
        ],
    },
]

REPLY: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [
        {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "text", "text": "Hé 🎉"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 400,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 7},
        "service_tier": "standard",
    },
}
USAGE = Usage(input=10, cache_read=400, cache_write_5m=20, cache_write_1h=10, output=43, reasoning=7)


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join([b"event: %b\ndata: %b\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in events])


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *[{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": index},
    ]


STREAM = sse(
    {
        "type": "message_start",
        "message": {**REPLY, "content": [], "stop_reason": None, "usage": {**REPLY["usage"], "output_tokens": 1}},
    },
    {"type": "ping"},
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hm"},
        {"type": "signature_delta", "signature": "c2ln"},
    ),
    *block(1, {"type": "redacted_thinking", "data": "b3BhcXVl"}),
    *block(
        2,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "Hé "},
        {"type": "text_delta", "text": "🎉"},
        {"type": "citations_delta", "citation": {}},
    ),
    *block(
        3,
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"a":'},
        {"type": "input_json_delta", "partial_json": "1}"},
    ),
    *block(
        4,
        {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": "{}"},
    ),
    *block(5, {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}}),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 50, "input_tokens": None, "cache_read_input_tokens": None},
    },
    {"type": "message_stop"},
)
EVENTS: list[StreamEvent] = [
    Started("msg_1", "claude-sonnet-5"),
    UsageSeen(Usage(input=10, cache_read=400, cache_write_5m=20, cache_write_1h=10, reasoning=7), untold="output"),
    ReasoningDelta("Hm", 0),
    ReasoningDelta("", 0, signature="c2ln"),
    ReasoningDelta("", 1, signature="b3BhcXVl", is_redacted=True),
    TextDelta("Hé ", 2),
    TextDelta("🎉", 2),
    ToolCallDelta(0, "toolu_1", "look"),
    ToolCallDelta(0, arguments='{"a":'),
    ToolCallDelta(0, arguments="1}"),
    ToolCallDelta(1, "toolu_2", "look"),
    ToolCallDelta(1, arguments="{}"),
    UsageSeen(USAGE),
    Finished("tool_calls", "tool_use"),
]


@pytest.mark.parametrize("body", GOLDEN)
def test_a_request_of_this_dialect_goes_upstream_as_the_client_sent_it(body: dict[str, Any]) -> None:
    assert Anthropic().render_request(Anthropic().parse_request(body)) == body


def test_every_member_lands_in_its_canonical_place() -> None:
    request = Anthropic().parse_request(GOLDEN[2])
    assert request.system[0].text == "Be brief."
    assert request.messages == (
        Message("user", (Text("Look"), Image("image/png", data="AAAA"), Image(url="https://example.org/a.png"))),
        Message(
            "assistant",
            (
                Reasoning("Hm", "c2ln"),
                Reasoning("", "b3BhcXVl", is_redacted=True),
                ToolCall("toolu_1", "look", '{"x":[1,2.5,null]}'),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("toolu_1", (Text("no"), Image("image/png", data="BBBB")), is_error=True),
                Text("and?"),
            ),
        ),
    )
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (4096, 0.5, 0.9, 5)
    assert request.tool_choice == ToolChoice("named", "look")
    assert request.is_parallel_tools is False
    assert request.reasoning == ReasoningSettings(budget_tokens=2048)
    assert request.response_format == ResponseFormat("json_schema", {"type": "object"})
    assert (request.user, request.stop, request.is_stream) == ("u1", ("END",), True)


def test_what_no_other_vendor_can_be_told_is_named() -> None:
    assert [untranslatable_fields(Anthropic().parse_request(body)) for body in GOLDEN] == [
        [],
        [],
        ["tools[1]"],
        ["container", "messages[1].content[0]"],
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": True}, "temperature"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"model": None}, "model"),
    ],
)
def test_a_malformed_member_is_refused_by_its_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        Anthropic().parse_request({**GOLDEN[0], **change})
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_newer_version_refuses_sampling_in_both_directions_and_the_older_sends_it(name: str) -> None:
    body = {**GOLDEN[0], name: 1}
    newer = Anthropic(api_version="2026-10-21")
    assert Anthropic().render_request(Anthropic().parse_request(body))[name] == 1
    for refuse in (lambda: newer.parse_request(body), lambda: newer.render_request(Anthropic().parse_request(body))):
        with pytest.raises(Untranslatable) as refused:
            refuse()
        assert refused.value.field == name
    assert newer.headers("k") == {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    assert Anthropic(credential="bearer", betas=["a", "b"]).headers("k") == {
        "authorization": "Bearer k",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a,b",
    }


@pytest.mark.parametrize(
    ("turn", "field"),
    [
        (
            {"role": "assistant", "content": [{"type": "document", "source": {"type": "text", "data": "d"}}]},
            "messages[1].content[0]",
        ),
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "citations": []}],
            },
            "messages[1].content[1].citations",
        ),
    ],
)
def test_the_newer_version_refuses_documents_of_the_assistant_and_citations_of_the_user(
    turn: dict[str, Any], field: str
) -> None:
    body: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}, turn]}
    assert Anthropic().render_request(Anthropic().parse_request(body)) == body
    with pytest.raises(Untranslatable) as refused:
        Anthropic(api_version="2026-10-21").parse_request(body)
    assert refused.value.field == field
    other = {"assistant": "user", "user": "assistant"}[turn["role"]]
    Anthropic(api_version="2026-10-21").parse_request({**body, "messages": [{**turn, "role": other}]})


def test_a_request_from_elsewhere_gets_what_this_vendor_demands() -> None:
    request = ChatRequest(
        model="m",
        messages=(
            Message("assistant", (Reasoning("hidden", "foreign"), ToolCall("1", "f", ""), ToolCall("2", "f", "{}"))),
            Message("tool", (ToolResult("1", (Text("a"),)),)),
            Message("tool", (ToolResult("2", ()),)),
        ),
        tools=(Tool("f", None, {}),),
        is_parallel_tools=False,
        reasoning=ReasoningSettings(effort="minimal"),
        dialect="openai",
    )
    assert Anthropic(max_tokens_default=777).render_request(request) == {
        "model": "m",
        "max_tokens": 777,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "messages": [
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "1", "name": "f", "input": {}},
                    {"type": "tool_use", "id": "2", "name": "f", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "a"}]},
                    {"type": "tool_result", "tool_use_id": "2"},
                ],
            },
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    }


def test_a_reply_lands_in_its_canonical_place_and_comes_out_unchanged() -> None:
    reply = Anthropic().parse_reply(REPLY)
    assert reply.usage == USAGE
    assert reply.usage.tokens_total == 10 + 30 + 400 + 50
    assert (reply.text, reply.finish_reason, reply.native_finish_reason) == ("Hé 🎉", "tool_calls", "tool_use")
    assert Anthropic().render_reply(reply) == REPLY


def test_absent_zero_and_contradicting_usage_are_three_things() -> None:
    def usage_of(value: Any) -> Usage | None:
        return Anthropic().parse_reply({**REPLY, "usage": value}).usage

    assert usage_of(None) is None
    assert usage_of({}) is None
    assert usage_of({"input_tokens": 0, "output_tokens": 0}) == Usage()
    wild = usage_of(
        {
            "input_tokens": 1,
            "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 5},
            "cache_creation_input_tokens": 3,
            "cache_creation": {"ephemeral_1h_input_tokens": 9},
        }
    )
    assert wild == Usage(input=1, cache_write_1h=9, reasoning=5)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"), ("max_tokens", "length"), ("stop_sequence", "stop"), ("tool_use", "tool_calls"),
        ("pause_turn", "other"), ("refusal", "content_filter"), ("model_context_window_exceeded", "length"),
    ],
)  # fmt: skip
def test_every_stop_reason_is_understood_and_said_again(word: str, reason: str) -> None:
    reply = Anthropic().parse_reply({**REPLY, "stop_reason": word})
    assert (reply.finish_reason, Anthropic().render_reply(reply)["stop_reason"]) == (reason, word)


def test_what_is_no_reply_is_a_value_error() -> None:
    bodies: list[dict[str, Any]] = [{}, {"content": "x"}]
    for body in bodies:
        with pytest.raises(ValueError, match=r"reply"):
            Anthropic().parse_reply(body)


@pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\n", b"\r\n")], ids=["lf", "crlf"])
def test_a_stream_reads_the_same_at_every_split(stream: bytes) -> None:
    for cut in range(len(stream) + 1):
        parser = Anthropic().event_parser()
        assert [*parser.feed(stream[:cut]), *parser.feed(stream[cut:])] == EVENTS
        assert parser.is_complete
    parser = Anthropic().event_parser()
    assert [e for i in range(len(stream)) for e in parser.feed(stream[i : i + 1])] == EVENTS


def test_a_cut_stream_is_not_complete_and_garbage_is_a_value_error() -> None:
    parser = Anthropic().event_parser()
    parser.feed(STREAM[: STREAM.rindex(b"event: message_stop")])
    assert not parser.is_complete
    for garbage in (b"data: {\n\n", b"data: 1\n\n", b"event: content_block_delta\ndata: []\n\n"):
        with pytest.raises(ValueError, match=r"stream"):
            Anthropic().event_parser().feed(garbage)


def test_an_error_inside_a_stream_is_an_error_and_never_text() -> None:
    parser = Anthropic().event_parser()
    parser.feed(STREAM[:2000])
    broken = sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    assert parser.feed(b"\n\n" + broken)[-1:] == [VendorError(529, "overloaded_error", "Overloaded")]
    assert not parser.is_complete


def sdk_message(stream: bytes) -> Any:
    """What the vendor's SDK makes of a stream."""
    from anthropic._streaming import SSEDecoder  # noqa: PLC0415 - heavy, and only tests need it
    from anthropic.lib.streaming._messages import accumulate_event  # noqa: PLC0415
    from anthropic.types import RawMessageStreamEvent  # noqa: PLC0415
    from pydantic import TypeAdapter  # noqa: PLC0415

    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for event in SSEDecoder().iter_bytes(iter([stream])):
        assert event.event == event.json()["type"]
        parsed = adapter.validate_python(event.json())
        snapshot = accumulate_event(event=parsed, current_snapshot=snapshot, json_bufs=buffers)
    return snapshot


def test_a_rendered_stream_becomes_in_the_sdk_what_the_reply_says() -> None:
    writer = Anthropic().event_renderer(ASKED, created=0, reply_id="msg_1")
    message = sdk_message(b"".join([*map(writer.render, EVENTS), writer.close()])).to_dict()
    assert message["content"] == REPLY["content"]
    assert (message["id"], message["model"], message["stop_reason"]) == ("msg_1", REPLY["model"], "tool_use")
    assert message["usage"]["cache_creation"] == REPLY["usage"]["cache_creation"]
    assert message["usage"]["output_tokens"] == 50
    assert message["usage"]["input_tokens"] == 10


def test_a_rendered_reply_of_another_vendor_is_a_message_to_the_sdk() -> None:
    from anthropic.types import Message as SdkMessage  # noqa: PLC0415

    reply = ChatReply("gpt", (Text("a"), ToolCall("1", "f", "not json")), "other", None, dialect="openai")
    message = SdkMessage.model_validate(Anthropic().render_reply(reply))
    assert message.stop_reason == "end_turn"
    assert message.content[1].to_dict()["input"] == {"raw_arguments": "not json"}


def test_an_error_ends_a_rendered_stream_and_nothing_follows() -> None:
    writer = Anthropic().event_renderer(ASKED, created=0, reply_id="msg_1")
    writer.render(Started(None, None))
    writer.render(TextDelta("a"))
    assert writer.render(VendorError(429, "RESOURCE_EXHAUSTED", "slow")) == (
        b'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"slow"}}\n\n'
    )
    assert writer.close() == b""


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (529, b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', {},
         VendorError(529, "overloaded_error", "busy")),
        (429, b"", {"Retry-After": "7"}, VendorError(429, "rate_limit_error", "HTTP status 429 without a message", 7.0)),
        (429, b'{"error":"x"}', {"retry-after-ms": "1500", "retry-after": "9"},
         VendorError(429, "rate_limit_error", "x", 1.5)),
        (502, b"<html><title>Bad gateway</title></html>", {}, VendorError(502, "api_error", "Bad gateway")),
        (400, b"[]", {}, VendorError(400, "invalid_request_error", "HTTP status 400 without a message")),
    ],
)  # fmt: skip
def test_an_error_of_any_shape_is_understood(status: int, body: bytes, headers: Any, expected: VendorError) -> None:
    assert Anthropic().parse_error(status, body, headers) == expected


@given(st.integers(400, 599), st.binary(max_size=60) | st.sampled_from([b"null", b"[1]", b'{"error":{"type":1}}']))
@settings(deadline=None, max_examples=60)
def test_reading_an_error_never_raises(status: int, body: bytes) -> None:
    assert Anthropic().parse_error(status, body, {}).status == status


def test_a_fault_has_the_vendors_error_shape() -> None:
    from anthropic.types.shared import ErrorResponse  # noqa: PLC0415

    rendered = Anthropic().render_fault(RateLimited("slow down"), 429, "req_1")
    parsed = ErrorResponse.model_validate(rendered)
    assert (parsed.error.type, parsed.error.message, parsed.request_id) == ("rate_limit_error", "slow down", "req_1")


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
OBJECTS = st.dictionaries(WORDS, st.integers(-9, 9) | WORDS | st.none(), max_size=2)
CALLS = st.builds(ToolCall, WORDS, WORDS, OBJECTS.map(lambda value: orjson.dumps(value).decode()))
SEALED = st.builds(Reasoning, WORDS, WORDS) | st.builds(lambda seal: Reasoning("", seal, is_redacted=True), WORDS)
IMAGES = st.builds(lambda data: Image("image/png", data=data), WORDS) | st.builds(lambda url: Image(url=url), WORDS)
TEXTS = st.builds(Text, WORDS)
RESULTS = st.builds(ToolResult, WORDS, st.lists(TEXTS | IMAGES, max_size=2).map(tuple), st.none(), st.booleans())
TURNS = (
    st.builds(Message, st.just("assistant"), st.lists(TEXTS | CALLS | SEALED, max_size=3).map(tuple))
    | st.builds(Message, st.just("user"), st.lists(TEXTS | IMAGES, min_size=1, max_size=3).map(tuple))
    | st.builds(Message, st.just("tool"), st.lists(RESULTS, min_size=1, max_size=2).map(tuple))
)
REQUESTS = st.builds(
    ChatRequest,
    model=WORDS,
    messages=st.lists(TURNS, min_size=1, max_size=3).map(tuple),
    system=st.lists(TEXTS, max_size=2).map(tuple),
    max_tokens=st.integers(1, 9999),
    temperature=st.none() | st.floats(0, 1),
    stop=st.lists(WORDS, max_size=2).map(tuple),
    tools=st.lists(st.builds(Tool, WORDS, st.none() | WORDS, OBJECTS), max_size=2).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, st.just("required")) | st.builds(ToolChoice, st.just("named"), WORDS),
    response_format=st.none() | st.builds(ResponseFormat, st.just("json_schema"), OBJECTS),
    reasoning=st.sampled_from([None, ReasoningSettings(), ReasoningSettings("low"), ReasoningSettings(None, 2000)]),
    is_stream=st.booleans(),
    user=st.none() | WORDS,
    dialect=st.just("anthropic"),
)


@given(REQUESTS)
@settings(deadline=None, max_examples=120)
def test_any_request_this_vendor_can_say_comes_back_the_same(request: ChatRequest) -> None:
    assert Anthropic().parse_request(Anthropic().render_request(request)) == request


COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
@settings(deadline=None, max_examples=60)
def test_usage_buckets_sum_to_the_vendors_total_and_come_back(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    usage = Usage(input=a, cache_read=b, cache_write_5m=c, cache_write_1h=d, output=e, reasoning=f)
    reply = ChatReply("m", (), "stop", usage, dialect="openai")
    counters: Any = Anthropic().render_reply(reply)["usage"]
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    assert sum(counters[name] for name in names) == usage.tokens_total
    assert Anthropic().parse_reply({"content": [], "usage": counters}).usage == usage
