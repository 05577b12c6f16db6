"""Every dialect to every dialect: what is said on one side is heard on the other, or refused by the name of its field."""

from dataclasses import replace
from typing import Any, Protocol

import orjson
import pytest

from methods.dialects import anthropic, gemini, openai, responses
from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Dialect, Untranslatable
from methods.dialects.canonical import (
    ChatReply,
    ChatRequest,
    Finished,
    Image,
    Message,
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
from methods.dialects.gemini import Gemini
from methods.dialects.openai import OpenAI
from methods.dialects.responses import Responses
from storage.records.usage import Usage
from tests.methods.dialects.matrix import HI

DIALECTS: list[Dialect] = [OpenAI(), Responses(), Anthropic(), Gemini()]
PAIRS = [pytest.param(a, b, id=f"{a.name} to {b.name}") for a in DIALECTS for b in DIALECTS]
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class _Names(Protocol):
    def __call__(self, request: ChatRequest) -> list[str]: ...


LOST: dict[str, _Names] = {
    "openai": openai.untranslatable_fields,
    "responses": responses.untranslatable_fields,
    "anthropic": anthropic.untranslatable_fields,
    "gemini": gemini.untranslatable_fields,
}

ASKED = ChatRequest(
    model="m",
    system=(Text("Be brief."),),
    messages=(
        Message("user", (Text("Weather?"), Image("image/png", data="AAAA"))),
        Message(
            "assistant",
            (Text("Looking"), ToolCall("c1", "weather", '{"city":"Bonn"}'), ToolCall("c2", "weather", "{}")),
        ),
        Message("tool", (ToolResult("c1", (Text("rain"),), "weather"),)),
        Message("tool", (ToolResult("c2", (Text("sun"),), "weather"),)),
        Message("user", (Text("And?"), Image(url="https://example.org/a.png"))),
    ),
    max_tokens=5000,
    temperature=0.5,
    top_p=0.9,
    stop=("END",),
    tools=(Tool("weather", "Tells it", SCHEMA),),
    tool_choice=ToolChoice("named", "weather"),
    response_format=ResponseFormat("json_schema", SCHEMA, name="reply"),
    reasoning=ReasoningSettings(effort="high"),
    is_stream=True,
)


def through(request: ChatRequest, dialect: Dialect) -> ChatRequest:
    """What a client of this dialect would send, and how it is read."""
    return dialect.parse_request(dialect.render_request(request), model=request.model, is_stream=request.is_stream)


def said(request: ChatRequest) -> dict[str, Any]:
    """What must survive, without the way in which each vendor groups turns."""
    parts = [(message.role == "assistant", part) for message in request.messages for part in message.parts]
    return {
        "system": [text.text for text in request.system],
        "texts": [(mine, part.text) for mine, part in parts if isinstance(part, Text)],
        "images": [(part.data, part.url) for _, part in parts if isinstance(part, Image)],
        "calls": [
            (part.id, part.name, orjson.loads(part.arguments)) for _, part in parts if isinstance(part, ToolCall)
        ],
        "results": [(part.tool_call_id, part.content) for _, part in parts if isinstance(part, ToolResult)],
        "tools": [(tool.name, tool.description, tool.parameters) for tool in request.tools],
        "choice": request.tool_choice,
        "format": request.response_format and (request.response_format.kind, request.response_format.schema),
        "effort": request.reasoning and request.reasoning.effort,
        "settings": (request.max_tokens, request.temperature, request.top_p, request.stop, request.is_stream),
    }


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_request_keeps_everything_it_says_from_one_vendor_to_the_other(source: Dialect, target: Dialect) -> None:
    asked = replace(ASKED, stop=()) if "responses" in (source.name, target.name) else ASKED  # it has no stop texts
    request = through(asked, source)
    assert said(request) == said(asked)
    assert LOST[source.name](request) == []
    assert said(through(request, target)) == said(asked)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_what_the_other_vendor_has_no_word_for_is_refused_by_name(source: Dialect, target: Dialect) -> None:
    refusals: dict[str, dict[str, dict[str, Any]]] = {
        "openai": {},
        "anthropic": {
            "response_format": {"response_format": ResponseFormat("json_object")},
            "temperature": {"temperature": 1.7},
        },
        "gemini": {"parallel_tool_calls": {"is_parallel_tools": False, "tools": ASKED.tools}},
        "responses": {"stop": {"stop": ("END",)}, "top_k": {"top_k": 3}},
    }
    for field, change in ({} if source is target else refusals[target.name]).items():
        members: dict[str, Any] = {"messages": (Message("user", (Text("Hi"),)),), "dialect": source.name, **change}
        request = ChatRequest(model="m", **members)
        with pytest.raises(Untranslatable) as refused:
            target.render_request(request)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("source", "body", "fields"),
    [
        (OpenAI(), {"messages": [{"role": "user", "content": "Hi"}], "logprobs": True}, ["logprobs"]),
        (Responses(), {"input": "Hi", "truncation": "auto"}, ["truncation"]),
        (Anthropic(), {"messages": [{"role": "user", "content": "Hi"}], "mcp_servers": [{}]}, ["mcp_servers"]),
        (Gemini(), {"contents": [{"parts": [{"text": "Hi"}]}], "cachedContent": "c"}, ["cachedContent"]),
    ],
)
def test_a_vendors_own_members_are_named_and_never_reach_another(
    source: Dialect, body: dict[str, Any], fields: list[str]
) -> None:
    request = source.parse_request(body, model="m")
    assert LOST[source.name](request) == fields
    for target in DIALECTS:
        rendered = target.render_request(request)
        assert (fields[0] in rendered) == (target.name == source.name)


REPLY = ChatReply(
    model="m",
    parts=(Text("Hé 🎉"), ToolCall("c1", "weather", '{"city":"Bonn"}'), ToolCall("c2", "weather", "{}")),
    finish_reason="tool_calls",
    usage=Usage(input=10, cache_read=5, output=7, reasoning=3),
    id="r1",
)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_reply_keeps_text_calls_finish_and_usage(source: Dialect, target: Dialect) -> None:
    first = source.parse_reply(source.render_reply(REPLY))
    second = target.parse_reply(target.render_reply(first))
    for reply in (first, second):
        assert (reply.parts, reply.finish_reason, reply.usage) == (REPLY.parts, REPLY.finish_reason, REPLY.usage)


@pytest.mark.parametrize(("source", "target"), PAIRS)
@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_a_plain_finish_means_the_same_to_both(source: Dialect, target: Dialect, reason: Any) -> None:
    reply = ChatReply("m", (Text("a"),), reason, Usage())
    first = source.parse_reply(source.render_reply(reply))
    second = target.parse_reply(target.render_reply(first))
    assert (first.finish_reason, second.finish_reason, second.usage) == (reason, reason, Usage())


EVENTS: list[StreamEvent] = [
    Started("r1", "m"),
    TextDelta("Hé "),
    TextDelta("🎉"),
    ToolCallDelta(0, "c1", "weather", '{"city":'),
    ToolCallDelta(0, arguments='"Bonn"}'),
    ToolCallDelta(1, "c2", "weather", "{}"),
    Finished("tool_calls"),
    UsageSeen(Usage(input=10, cache_read=5, output=7, reasoning=3)),
]


def streamed(dialect: Dialect, events: list[StreamEvent]) -> list[StreamEvent]:
    """What a client of this dialect would read."""
    request = ChatRequest("m", (Message("user", (Text("Hi"),)),), is_stream=True, wants_stream_usage=True)
    writer = dialect.event_renderer(request, created=1, reply_id="r1")
    wire = b"".join([*map(writer.render, events), writer.close()])
    parser = dialect.event_parser()
    read = list(parser.feed(wire))
    failed = any(isinstance(event, VendorError) for event in read)
    assert parser.is_complete is not failed
    return read


def gathered(events: list[StreamEvent]) -> tuple[Any, ...]:
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            call = calls.setdefault(event.index, [event.id or "", event.name or "", ""])
            call[2] += event.arguments
    return (
        "".join([event.text for event in events if isinstance(event, TextDelta)]),
        calls,
        [event.finish_reason for event in events if isinstance(event, Finished)],
        [event.usage for event in events if isinstance(event, UsageSeen)][-1],
    )


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_stream_says_the_same_as_the_reply(source: Dialect, target: Dialect) -> None:
    first = streamed(source, EVENTS)
    second = streamed(target, first)
    assert gathered(first) == gathered(second) == gathered(EVENTS)
    assert gathered(second)[0] == REPLY.text


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_an_error_midway_reaches_the_other_side_as_an_error_of_the_same_kind(source: Dialect, target: Dialect) -> None:
    first = streamed(source, [Started("r1", "m"), TextDelta("a"), VendorError(429, "", "slow")])
    second = streamed(target, first)
    error = second[-1]
    assert isinstance(error, VendorError)
    assert (error.status, error.message) == (429, "slow")


def strict(dialect: Dialect, schema: Any, *, is_strict: bool) -> ChatRequest:
    """A request of a client of this dialect that says whether its tool is strict."""
    function = {"name": "weather", "strict": is_strict}
    tools: dict[str, Any] = {
        "openai": {"type": "function", "function": {**function, "parameters": schema}},
        "responses": {"type": "function", **function, "parameters": schema},
        "anthropic": {**function, "input_schema": schema},
    }
    return dialect.parse_request({**HI[dialect.name], "tools": [tools[dialect.name]]})


def tool_for(dialect: Dialect, request: ChatRequest) -> Any:
    """The only tool of a request, as this vendor is told it."""
    tools: Any = dialect.render_request(request)["tools"]
    assert len(tools) == 1
    return tools[0]


CLOSED: Any = {**SCHEMA, "additionalProperties": False}
SAID_BY = [dialect for dialect in DIALECTS if dialect.name != "gemini"]


@pytest.mark.parametrize("source", SAID_BY, ids=lambda dialect: dialect.name)
def test_a_strict_tool_stays_strict_for_every_vendor_that_has_a_word_for_it(source: Dialect) -> None:
    asked = strict(source, CLOSED, is_strict=True)
    assert tool_for(OpenAI(), asked)["function"]["strict"] is True
    assert tool_for(Responses(), asked)["strict"] is True
    assert tool_for(Anthropic(), asked)["strict"] is True
    assert "strict" not in orjson.dumps(Gemini().render_request(asked)).decode()


def test_a_tool_is_not_strict_where_nobody_asked_for_it_or_openai_would_refuse_its_schema() -> None:
    loose = strict(OpenAI(), CLOSED, is_strict=False)
    assert "strict" not in tool_for(Anthropic(), loose)
    assert tool_for(Responses(), loose)["strict"] is False
    assert tool_for(OpenAI(), strict(Responses(), CLOSED, is_strict=False))["function"]["strict"] is False
    optional = {**CLOSED, "properties": {**SCHEMA["properties"], "days": {"type": "integer"}}}
    nested = {**CLOSED, "properties": {"city": {"anyOf": [{"type": "object", "properties": {}}]}}}
    for schema in (SCHEMA, optional, nested):
        assert "strict" not in tool_for(OpenAI(), strict(Anthropic(), schema, is_strict=True))["function"]


@pytest.mark.parametrize("written", ["image/png", "IMAGE/PNG", "Image/Png"])
def test_an_image_is_one_however_its_type_is_written(written: str) -> None:
    asked: dict[str, dict[str, Any]] = {
        "openai": {
            "model": "m",
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": f"data:{written};base64,AAAA"}}],
                }
            ],
        },
        "gemini": {"contents": [{"parts": [{"inlineData": {"mimeType": written, "data": "AAAA"}}]}]},
    }
    for name, body in asked.items():
        dialect = next(dialect for dialect in DIALECTS if dialect.name == name)
        request = dialect.parse_request(body, model="m")
        assert dialect.unpriced(body) == []
        assert LOST[name](request) == []
        for other, expected in ((Anthropic(), '"media_type":"image/png"'), (Gemini(), '"mimeType":"image/png"')):
            if other.name != name:
                assert expected in orjson.dumps(other.render_request(request)).decode()
    jpg = ChatRequest("m", (Message("user", (Image("image/JPG", data="AAAA"),)),))
    assert '"image/jpeg"' in orjson.dumps(Anthropic().render_request(jpg)).decode()
