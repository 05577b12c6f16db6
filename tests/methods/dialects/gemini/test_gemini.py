"""Gemini's generateContent, both ways, judged by the vendor's own SDK types."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from methods.dialects.gemini import Gemini, untranslatable_fields
from monetization.errors import RateLimited
from storage.records.usage import Usage

ASKED = ChatRequest(model="gemini-3-pro", messages=(Message("user", (Text("Hi"),)),))

GOLDEN: list[dict[str, Any]] = [
    {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Look"},
                    {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                    {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Hm", "thought": True, "thoughtSignature": "c2ln"},
                    {"functionCall": {"name": "look", "args": {"x": 1}}, "thoughtSignature": "c2ln"},
                    {"functionCall": {"id": "c2", "name": "look", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "look", "response": {"output": "no"}}},
                    {"functionResponse": {"id": "c2", "name": "look", "response": {"error": "bad"}}},
                ],
            },
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "look",
                        "description": "Looks",
                        "parameters": {
                            "type": "OBJECT",
                            "properties": {"x": {"type": "INTEGER", "nullable": True}},
                            "required": ["x"],
                        },
                    },
                    {"name": "see", "parametersJsonSchema": {"type": "object"}},
                ]
            },
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
        "generationConfig": {
            "maxOutputTokens": 9,
            "temperature": 1.5,
            "topP": 0.9,
            "topK": 5,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseSchema": {"type": "ARRAY", "items": {"type": "STRING"}, "maxItems": "3"},
            "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
            "seed": 1,
            "frequencyPenalty": 0.5,
        },
        "safetySettings": [],
        "cachedContent": "cachedContents/1",
    },
    {
        "contents": [
            {"parts": [{"inline_data": {"mime_type": "audio/wav", "data": "AAAA"}}, {"text": "Hear"}]},
            {"role": "user", "parts": [{"executableCode": {"code": "1"}}]},
        ],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": -1}, "responseModalities": ["TEXT"]},
    },
]

REPLY: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Hm", "thought": True},
                    {"text": "Hé 🎉"},
                    {"functionCall": {"name": "look", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                    {"functionCall": {"id": "c2", "name": "look", "args": {}}},
                ],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 300,
        "candidatesTokenCount": 50,
        "thoughtsTokenCount": 70,
        "toolUsePromptTokenCount": 8,
        "totalTokenCount": 1128,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 850},
            {"modality": "AUDIO", "tokenCount": 100},
            {"modality": "IMAGE", "tokenCount": 50},
        ],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 260}, {"modality": "AUDIO", "tokenCount": 40}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 50}],
    },
    "modelVersion": "gemini-3-pro",
    "responseId": "r_1",
}
USAGE = Usage(input=598, cache_read=300, audio_input=60, image_input=50, output=50, reasoning=70)


def sse(*chunks: dict[str, Any]) -> bytes:
    return b"".join([b"data: %b\r\n\r\n" % orjson.dumps(chunk) for chunk in chunks])


def chunk(*parts: dict[str, Any], **others: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **others}
    return {"candidates": [candidate], "modelVersion": "gemini-3-pro", "responseId": "r_1"}


STREAM = sse(
    {**chunk({"text": "Hm", "thought": True}), "usageMetadata": {"promptTokenCount": 1000, "totalTokenCount": 1000}},
    chunk({"text": "Hé "}),
    chunk({"text": "🎉"}),
    chunk({"functionCall": {"name": "look", "args": {"a": 1}}, "thoughtSignature": "c2ln"}),
    chunk({"functionCall": {"id": "c2", "name": "look", "args": {}}}),
    {**chunk({"text": ""}, finishReason="STOP"), "usageMetadata": REPLY["usageMetadata"]},
)
EVENTS: list[StreamEvent] = [
    Started("r_1", "gemini-3-pro"),
    ReasoningDelta("Hm", 0),
    UsageSeen(Usage(input=1000)),
    TextDelta("Hé ", 1),
    TextDelta("🎉", 1),
    ToolCallDelta(0, "gemini_call_r_1_0", "look", '{"a":1}', "c2ln"),
    ToolCallDelta(1, "c2", "look", "{}"),
    UsageSeen(USAGE),
    Finished("tool_calls", "STOP"),
]


@pytest.mark.parametrize("body", GOLDEN)
def test_a_request_of_this_dialect_goes_upstream_as_the_client_sent_it(body: dict[str, Any]) -> None:
    sent = Gemini().render_request(Gemini().parse_request(body, model="m"))
    for content in body["contents"]:
        content.setdefault("role", "user")
    assert sent == body


def test_every_member_lands_in_its_canonical_place() -> None:
    request = Gemini().parse_request(GOLDEN[1], model="models/gemini-3-pro", is_stream=True)
    assert request.messages == (
        Message(
            "user",
            (Text("Look"), Image("image/png", data="AAAA"), Image("image/png", url="https://example.org/a.png")),
        ),
        Message(
            "assistant",
            (
                Reasoning("Hm", "c2ln"),
                ToolCall("gemini_call_0", "look", '{"x":1}', "c2ln"),
                ToolCall("c2", "look", "{}"),
            ),
        ),
        Message(
            "tool",
            (
                ToolResult("gemini_call_0", (Text("no"),), "look"),
                ToolResult("c2", (Text("bad"),), "look", is_error=True),
            ),
        ),
    )
    assert (request.system, request.model) == ((Text("Be brief."),), "gemini-3-pro")
    assert request.tools[0].parameters == {
        "type": "object",
        "properties": {"x": {"type": ["integer", "null"]}},
        "required": ["x"],
    }
    assert request.tool_choice == ToolChoice("named", "look")
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (9, 1.5, 0.9, 5)
    assert request.response_format == ResponseFormat(
        "json_schema", {"type": "array", "items": {"type": "string"}, "maxItems": 3}
    )
    assert request.reasoning == ReasoningSettings(effort="high")
    assert Gemini().path(request) == "/v1/models/gemini-3-pro:streamGenerateContent?alt=sse"


def test_one_turn_part_or_tool_needs_no_list_and_a_mode_may_be_in_lower_case() -> None:
    short: dict[str, Any] = {
        "system_instruction": {"parts": {"text": "Be brief."}},
        "tools": {"function_declarations": {"name": "look"}},
        "tool_config": {"function_calling_config": {"mode": "any"}},
        "contents": {"role": "user", "parts": {"text": "Look"}},
    }
    request = Gemini().parse_request(short, model="m")
    assert request.messages == (Message("user", (Text("Look"),)),)
    assert (request.system, request.tool_choice) == ((Text("Be brief."),), ToolChoice("required"))
    assert [tool.name for tool in request.tools] == ["look"]
    assert untranslatable_fields(request) == []
    bounded = {**short, "generationConfig": {"maxOutputTokens": 9}}
    assert Gemini().amended(bounded, Gemini().parse_request(bounded, model="m")) is bounded


def test_what_no_other_vendor_can_be_told_is_named() -> None:
    assert [untranslatable_fields(Gemini().parse_request(body, model="m")) for body in GOLDEN] == [
        [],
        ["cachedContent", "generationConfig.frequencyPenalty", "tools.googleSearch"],
        ["contents[0].parts[0]", "contents[1].parts[0]"],
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"contents": []}, "contents"),
        ({"contents": [{"role": "robot", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"generationConfig": {"maxOutputTokens": "x"}}, "generationConfig.maxOutputTokens"),
        ({"generation_config": {"candidate_count": 9}}, "generationConfig.candidateCount"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "X"}}}, "toolConfig.functionCallingConfig.mode"),
    ],
)
def test_a_malformed_member_is_refused_by_its_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        Gemini().parse_request({**GOLDEN[0], **change}, model="m")
    assert refused.value.field == field


@pytest.mark.parametrize("model", ["", "..", "a/../b", "a//b"])
def test_a_model_cannot_lead_to_another_path(model: str) -> None:
    with pytest.raises(Untranslatable, match=r"model"):
        Gemini().path(ChatRequest(model, ASKED.messages))
    assert Gemini(api_version="v1beta").path(ChatRequest("a?b:c", ())) == "/v1beta/models/a%3Fb%3Ac:generateContent"


def test_a_reply_lands_in_its_canonical_place_and_comes_out_unchanged() -> None:
    reply = Gemini().parse_reply(REPLY)
    assert reply.usage == USAGE
    assert reply.usage.tokens_total == 1128
    assert (reply.text, reply.finish_reason, reply.native_finish_reason) == ("Hé 🎉", "tool_calls", "STOP")
    assert reply.parts[2] == ToolCall("gemini_call_r_1_0", "look", '{"a":1}', "c2ln")
    assert Gemini().render_reply(reply) == REPLY


def test_absent_zero_and_contradicting_usage_are_three_things() -> None:
    def usage_of(**counters: Any) -> Usage | None:
        return Gemini().parse_reply({"candidates": [], "usageMetadata": counters}).usage

    assert usage_of() is None
    assert usage_of(promptTokenCount=0) == Usage()
    assert usage_of(promptTokenCount=5, candidatesTokenCount=2, totalTokenCount=17) == Usage(5, output=2, reasoning=10)
    assert usage_of(promptTokenCount=5, cachedContentTokenCount=9, totalTokenCount=5) == Usage(cache_read=9)


def test_a_refused_prompt_is_a_filtered_reply_and_no_answer_is_a_value_error() -> None:
    body: dict[str, Any] = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    reply = Gemini().parse_reply(body)
    assert (reply.parts, reply.finish_reason, reply.native_finish_reason) == ((), "content_filter", "SAFETY")
    assert "candidates" not in Gemini().render_reply(reply)
    parser = Gemini().event_parser()
    assert parser.feed(sse(body))[-1] == Finished("content_filter", "SAFETY")
    assert parser.is_complete
    with pytest.raises(ValueError, match=r"reply"):
        Gemini().parse_reply({})


@pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\r\n", b"\n")], ids=["crlf", "lf"])
def test_a_stream_reads_the_same_at_every_split(stream: bytes) -> None:
    for cut in range(len(stream) + 1):
        parser = Gemini().event_parser()
        assert [*parser.feed(stream[:cut]), *parser.feed(stream[cut:])] == EVENTS
        assert parser.is_complete
    parser = Gemini().event_parser()
    assert [e for i in range(len(stream)) for e in parser.feed(stream[i : i + 1])] == EVENTS


def test_a_stream_without_a_finish_reason_was_cut() -> None:
    parser = Gemini().event_parser()
    parser.feed(STREAM[: STREAM.rindex(b"data: ")])
    assert not parser.is_complete
    broken = b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\r\n\r\n'
    assert parser.feed(broken) == [VendorError(503, "UNAVAILABLE", "busy")]
    assert not parser.is_complete
    for garbage in (b"data: {\n\n", b"data: 1\n\n"):
        with pytest.raises(ValueError, match=r"stream"):
            Gemini().event_parser().feed(garbage)


def test_a_rendered_stream_is_to_the_sdk_what_the_reply_says() -> None:
    from google.genai.types import GenerateContentResponse  # noqa: PLC0415 - heavy, and only tests need it

    writer = Gemini().event_renderer(ASKED, created=0, reply_id="r_1")
    wire = b"".join([*map(writer.render, EVENTS), writer.close()])
    events = wire.split(b"\r\n\r\n")
    assert events.pop() == b""
    chunks = [GenerateContentResponse.model_validate_json(event.removeprefix(b"data: ")) for event in events]
    assert "".join([chunk.text or "" for chunk in chunks]) == "Hé 🎉"
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    assert [(call.id, call.name, call.args) for call in calls] == [(None, "look", {"a": 1}), ("c2", "look", {})]
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.total_token_count == 1128
    again = [event for event in Gemini().event_parser().feed(wire) if type(event) is not UsageSeen]
    assert again == [event for event in EVENTS if type(event) is not UsageSeen]


def test_an_error_ends_a_rendered_stream_and_nothing_follows() -> None:
    writer = Gemini().event_renderer(ASKED, created=0, reply_id="r_1")
    writer.render(TextDelta("a"))
    assert writer.render(VendorError(529, "overloaded_error", "busy")) == (
        b'data: {"error":{"code":529,"message":"busy","status":"UNAVAILABLE"}}\r\n\r\n'
    )
    assert writer.close() == b""


RETRY = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}]
EXHAUSTED = {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": RETRY}}


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (429, orjson.dumps(EXHAUSTED), {}, VendorError(429, "RESOURCE_EXHAUSTED", "slow", 7.5)),
        (429, orjson.dumps([EXHAUSTED]), {"retry-after": "2"}, VendorError(429, "RESOURCE_EXHAUSTED", "slow", 2.0)),
        (502, b"<html><title>Bad gateway</title></html>", {}, VendorError(502, "INTERNAL", "Bad gateway")),
        (404, b"", {}, VendorError(404, "NOT_FOUND", "HTTP status 404 without a message")),
    ],
)
def test_an_error_of_any_shape_is_understood(status: int, body: bytes, headers: Any, expected: VendorError) -> None:
    assert Gemini().parse_error(status, body, headers) == expected


@given(st.integers(400, 599), st.binary(max_size=60) | st.sampled_from([b"null", b"[1]", b'{"error":{"details":1}}']))
@settings(deadline=None, max_examples=60)
def test_reading_an_error_never_raises(status: int, body: bytes) -> None:
    assert Gemini().parse_error(status, body, {}).status == status


def test_a_fault_has_the_vendors_error_shape() -> None:
    from google.genai.errors import ClientError  # noqa: PLC0415

    rendered = Gemini().render_fault(RateLimited("slow down", retry_after_seconds=7), 429, "req_1")
    error = ClientError(429, rendered)
    assert (error.code, error.status, error.message) == (429, "RESOURCE_EXHAUSTED", "slow down")
    assert Gemini().parse_error(429, orjson.dumps(rendered), {}).retry_after_seconds == 7


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NAMES = st.text("abcxyz", min_size=1, max_size=6)
OBJECTS = st.dictionaries(NAMES, st.integers(-9, 9) | WORDS, max_size=2)
CALLS = st.builds(ToolCall, NAMES, NAMES, OBJECTS.map(lambda value: orjson.dumps(value).decode()), st.none() | WORDS)
THOUGHTS = st.builds(Reasoning, WORDS, st.none() | WORDS)
IMAGES = st.builds(lambda data: Image("image/png", data=data), WORDS) | st.builds(lambda url: Image(url=url), WORDS)
TEXTS = st.builds(Text, WORDS)
ANSWERS = st.builds(ToolResult, NAMES, st.tuples(st.builds(Text, st.text("abc", min_size=1))), NAMES, st.booleans())
TURNS = (
    st.builds(Message, st.just("assistant"), st.lists(TEXTS | CALLS | THOUGHTS, max_size=3).map(tuple))
    | st.builds(Message, st.just("user"), st.lists(TEXTS | IMAGES, min_size=1, max_size=3).map(tuple))
    | st.builds(Message, st.just("tool"), st.lists(ANSWERS, min_size=1, max_size=2).map(tuple))
)
REQUESTS = st.builds(
    ChatRequest,
    model=NAMES,
    messages=st.lists(TURNS, min_size=1, max_size=3).map(tuple),
    system=st.lists(TEXTS, max_size=2).map(tuple),
    max_tokens=st.none() | st.integers(1, 9999),
    temperature=st.none() | st.floats(0, 2),
    top_k=st.none() | st.integers(0, 99),
    stop=st.lists(WORDS, max_size=2).map(tuple),
    tools=st.lists(st.builds(Tool, NAMES, st.none() | WORDS, OBJECTS), max_size=2).map(tuple),
    tool_choice=st.none() | st.builds(ToolChoice, st.just("required")) | st.builds(ToolChoice, st.just("named"), NAMES),
    response_format=st.none() | st.builds(ResponseFormat, st.just("json_schema"), OBJECTS),
    reasoning=st.sampled_from([None, ReasoningSettings(), ReasoningSettings("low"), ReasoningSettings(None, 2000)]),
    is_stream=st.booleans(),
    dialect=st.just("gemini"),
)


@given(REQUESTS)
@settings(deadline=None, max_examples=120)
def test_any_request_this_vendor_can_say_comes_back_the_same(request: ChatRequest) -> None:
    body = Gemini().render_request(request)
    assert Gemini().parse_request(body, model=request.model, is_stream=request.is_stream) == request


COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
@settings(deadline=None, max_examples=60)
def test_usage_buckets_sum_to_the_vendors_total_and_come_back(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    usage = Usage(input=a, cache_read=b, audio_input=c, image_input=d, output=e, reasoning=f, image_output=a)
    counters: Any = Gemini().render_reply(ChatReply("m", (), "stop", usage, dialect="openai"))["usageMetadata"]
    assert counters["totalTokenCount"] == usage.tokens_total
    assert Gemini().parse_reply({"candidates": [], "usageMetadata": counters}).usage == usage
