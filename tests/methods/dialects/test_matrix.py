"""Every door's client at every vendor, in the vendors' own JSON: the whole request, the whole answer and the stream."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.base import Dialect, Untranslatable
from methods.dialects.canonical import (
    ChatReply,
    ChatRequest,
    Finished,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    UsageSeen,
)
from methods.dialects.openai import OpenAI
from storage.records.usage import Usage
from tests.methods.dialects.matrix import ANSWER, ASKED, DOORS, PIXEL, PROVIDERS, REPLIES, SCHEMA, STREAMS, URL

CROSSED = [
    pytest.param(door, provider, id=f"{door} to {provider}")
    for door in DOORS
    for provider in PROVIDERS
    if door != provider
]


def asked(door: str, **members: Any) -> ChatRequest:
    return DOORS[door].parse_request({**ASKED[door], **members}, model="m", is_stream=False)


def expected(door: str, provider: str) -> dict[str, Any]:
    """What the provider must be asked. Chat completions and Responses have no word for the failure of a tool."""
    knows_failure = door in ("anthropic", "gemini")
    stop = [] if door == "responses" else ["END"]
    match provider:
        case "openai":
            return _openai(stop)
        case "anthropic":
            return _anthropic(stop, knows_failure=knows_failure)
        case _:
            return _gemini(stop, knows_failure=knows_failure)


def _openai(stop: list[str]) -> dict[str, Any]:
    def call(number: int, city: str) -> dict[str, Any]:
        function = {"name": "weather", "arguments": orjson.dumps({"city": city}).decode()}
        return {"id": f"c{number}", "type": "function", "function": function}

    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    body: dict[str, Any] = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}, picture]},
            {"role": "assistant", "content": "Looking.", "tool_calls": [call(1, "Bonn"), call(2, "Köln")]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "tool", "tool_call_id": "c2", "content": "no station"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "And this?"}, {"type": "image_url", "image_url": {"url": URL}}],
            },
        ],
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": SCHEMA}}
        ],
        "tool_choice": "required",
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": ANSWER}},
        "reasoning_effort": "high",
        "max_completion_tokens": 5000,
        "temperature": 0.5,
    }
    return {**body, "stop": stop} if stop else body


def _anthropic(stop: list[str], *, knows_failure: bool) -> dict[str, Any]:
    failed: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": "c2",
        "content": [{"type": "text", "text": "no station"}],
    }
    body: dict[str, Any] = {
        "model": "m",
        "system": "Be brief.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Weather?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Bonn"}},
                    {"type": "tool_use", "id": "c2", "name": "weather", "input": {"city": "Köln"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "rain"}]},
                    {**failed, "is_error": True} if knows_failure else failed,
                    {"type": "text", "text": "And this?"},
                    {"type": "image", "source": {"type": "url", "url": URL}},
                ],
            },
        ],
        "tools": [{"name": "weather", "description": "Tells it", "input_schema": SCHEMA}],
        "tool_choice": {"type": "any"},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": ANSWER}},
        "max_tokens": 5000,
        "temperature": 0.5,
    }
    return {**body, "stop_sequences": stop} if stop else body


def _gemini(stop: list[str], *, knows_failure: bool) -> dict[str, Any]:
    def call(number: int, city: str) -> dict[str, Any]:
        return {"functionCall": {"id": f"c{number}", "name": "weather", "args": {"city": city}}}

    answered = {"error": "no station"} if knows_failure else {"output": "no station"}
    config: dict[str, Any] = {
        "responseMimeType": "application/json",
        "responseJsonSchema": ANSWER,
        "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True},
        "maxOutputTokens": 5000,
        "temperature": 0.5,
    }
    return {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Weather?"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Looking."},
                    {**call(1, "Bonn"), "thoughtSignature": "skip_thought_signature_validator"},
                    call(2, "Köln"),
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "rain"}}},
                    {"functionResponse": {"id": "c2", "name": "weather", "response": answered}},
                    {"text": "And this?"},
                    {"fileData": {"mimeType": "image/png", "fileUri": URL}},
                ],
            },
        ],
        "tools": [
            {"functionDeclarations": [{"name": "weather", "description": "Tells it", "parametersJsonSchema": SCHEMA}]}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {**config, "stopSequences": stop} if stop else config,
    }


@pytest.mark.parametrize(("door", "provider"), CROSSED)
def test_the_whole_question_is_put_to_the_vendor_in_its_own_words(door: str, provider: str) -> None:
    assert DOORS[door].untranslatable(asked(door)) == []
    body = PROVIDERS[provider].render_request(asked(door))
    wanted = expected(door, provider)
    if (door, provider) == (
        "gemini",
        "openai",
    ):  # Gemini's seal goes where Gemini's own endpoint for this dialect has it
        wanted["messages"][2]["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "U0VBTA=="}}
    assert body == wanted


CALLED = {"id": "c3", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
SEALED = {**CALLED, "extra_content": {"google": {"thought_signature": "U0VBTA=="}}}


@pytest.mark.parametrize(("door", "provider"), CROSSED)
def test_the_whole_answer_reaches_the_client_in_its_own_words(door: str, provider: str) -> None:
    reply = PROVIDERS[provider].parse_reply(REPLIES[provider])
    body: Any = DOORS[door].render_reply(reply)
    match door:
        case "openai":
            (choice,) = body["choices"]
            assert choice["finish_reason"] == "tool_calls"
            assert choice["message"] == {
                "role": "assistant",
                "content": "Grüße 🎉",
                "refusal": None,
                "reasoning_content": "Hm.",
                "tool_calls": [SEALED if provider == "gemini" else CALLED],
            }
            assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (30, 12)
            assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 20
            assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 5
        case "responses":
            thought, said, called = body["output"]
            assert [part["text"] for part in thought["summary"]] == ["Hm."]
            assert [part["text"] for part in said["content"]] == ["Grüße 🎉"]
            assert (called["call_id"], called["name"], called["arguments"]) == ("c3", "weather", '{"city":"Ulm"}')
            assert body["status"] == "completed"
            assert body["usage"] == {
                "input_tokens": 30,
                "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0},
                "output_tokens": 12,
                "output_tokens_details": {"reasoning_tokens": 5},
                "total_tokens": 42,
            }
        case "anthropic":
            assert [block["type"] for block in body["content"]] == ["thinking", "text", "tool_use"]
            assert body["content"][0]["thinking"] == "Hm."
            assert body["content"][1:] == REPLIES["anthropic"]["content"][1:]
            assert body["stop_reason"] == "tool_use"
            counters = ("input_tokens", "cache_read_input_tokens", "output_tokens")
            assert [body["usage"][name] for name in counters] == [10, 20, 12]
        case _:
            (candidate,) = body["candidates"]
            thought, said, called = candidate["content"]["parts"]
            assert (thought, said) == ({"text": "Hm.", "thought": True}, {"text": "Grüße 🎉"})
            assert called == {  # which Gemini's models take back, though they did not make it
                "functionCall": {"id": "c3", "name": "weather", "args": {"city": "Ulm"}},
                "thoughtSignature": "skip_thought_signature_validator",
            }
            assert candidate["finishReason"] == "STOP"
            assert body["usageMetadata"] == REPLIES["gemini"]["usageMetadata"]


def gathered(events: list[StreamEvent]) -> dict[str, Any]:
    """What a stream said."""
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            call = calls.setdefault(event.index, [event.id or "", event.name or "", ""])
            call[2] += event.arguments
    return {
        "text": "".join([event.text for event in events if isinstance(event, TextDelta)]),
        "thought": "".join([event.text for event in events if isinstance(event, ReasoningDelta)]),
        "calls": calls,
        "finish": [event.finish_reason for event in events if isinstance(event, Finished)],
        "usage": [event.usage for event in events if isinstance(event, UsageSeen)][-1],
    }


SAID = {
    "text": "Grüße 🎉",
    "thought": "Hm.",
    "calls": {0: ["c3", "weather", '{"city":"Ulm"}']},
    "finish": ["tool_calls"],
    "usage": Usage(input=10, cache_read=20, output=7, reasoning=5),
}


@pytest.mark.parametrize(("door", "provider"), CROSSED)
@pytest.mark.parametrize("size", [1, 13, 10_000])
def test_the_whole_stream_reaches_the_client_in_its_own_words(door: str, provider: str, size: int) -> None:
    wire, parser = STREAMS[provider], PROVIDERS[provider].event_parser()
    events = [event for at in range(0, len(wire), size) for event in parser.feed(wire[at : at + size])]
    assert parser.is_complete
    assert gathered(events) == SAID
    writer = DOORS[door].event_renderer(asked(door), created=1, reply_id="r1")
    told = b"".join([*map(writer.render, events), writer.close()])
    reader = DOORS[door].event_parser()
    assert gathered(list(reader.feed(told))) == SAID
    assert reader.is_complete


def _text_only(door: str) -> dict[str, Any]:
    bodies: dict[str, dict[str, Any]] = {
        "openai": {"messages": [{"role": "user", "content": "Hi"}]},
        "responses": {"input": "Hi"},
        "anthropic": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    }
    return bodies[door]


REFUSED: list[Any] = [
    ("openai", {"response_format": {"type": "json_object"}}, "anthropic", "response_format"),
    ("openai", {"temperature": 1.5}, "anthropic", "temperature"),
    ("openai", {"parallel_tool_calls": False, "tools": ASKED["openai"]["tools"]}, "gemini", "parallel_tool_calls"),
    ("responses", {"text": {"format": {"type": "json_object"}}}, "anthropic", "response_format"),
    ("anthropic", {"top_k": 5}, "openai", "top_k"),
    ("gemini", {"generationConfig": {"topK": 5}}, "openai", "top_k"),
    ("gemini", {"generationConfig": {"temperature": 1.5}}, "anthropic", "temperature"),
]


@pytest.mark.parametrize(("door", "members", "provider", "field"), REFUSED)
def test_what_a_vendor_cannot_be_told_is_refused_by_its_name(
    door: str, members: Any, provider: str, field: str
) -> None:
    request = DOORS[door].parse_request({**_text_only(door), **members}, model="m", is_stream=False)
    with pytest.raises(Untranslatable) as refused:
        PROVIDERS[provider].render_request(request)
    assert refused.value.field == field


LOST: list[Any] = [
    ("openai", {"logit_bias": {"1": 2}}, "logit_bias"),
    ("openai", {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content"),
    ("responses", {"tools": [{"type": "custom", "name": "n"}]}, "tools[0]"),
    (
        "responses",
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "input[0].content[0]",
    ),
    ("anthropic", {"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0]"),
    (
        "anthropic",
        {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]},
        "messages[0].content[0]",
    ),
    ("gemini", {"tools": [{"googleSearch": {}}]}, "tools.googleSearch"),
    (
        "gemini",
        {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AA"}}]}]},
        "contents[0].parts[0]",
    ),
]


@pytest.mark.parametrize(("door", "members", "field"), LOST)
def test_what_no_other_vendor_can_be_told_is_named(door: str, members: Any, field: str) -> None:
    request = DOORS[door].parse_request({**_text_only(door), **members}, model="m", is_stream=False)
    assert DOORS[door].untranslatable(request) == [field]


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    str.strip
)
ARGUMENTS = st.dictionaries(st.sampled_from(["a", "b"]), WORDS, max_size=2).map(
    lambda value: orjson.dumps(value).decode()
)
USER = st.lists(st.one_of(st.builds(Text, WORDS), st.just(Image("image/png", data=PIXEL))), min_size=1, max_size=3)
ANSWERED = st.builds(Text, WORDS.filter(lambda text: text[0] not in "{["))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns as any vendor takes them: a user's, then any number of answers with calls that are all answered."""
    messages = [Message("user", tuple(draw(USER)))]
    for turn in range(draw(st.integers(0, 3))):
        calls = [ToolCall(f"c{turn}_{n}", "tool", draw(ARGUMENTS)) for n in range(draw(st.integers(0, 2)))]
        texts: list[Part] = [Text(draw(WORDS))] if draw(st.booleans()) or not calls else []
        messages.append(Message("assistant", (*texts, *calls)))
        messages += [Message("tool", (ToolResult(call.id, (draw(ANSWERED),), "tool"),)) for call in calls]
        if not calls or draw(st.booleans()):
            messages.append(Message("user", tuple(draw(USER))))
    return tuple(messages)


def flat(request: ChatRequest) -> list[tuple[Any, ...]]:
    """The parts in order, without the way in which a vendor groups them."""
    said: list[tuple[Any, ...]] = []
    for message in request.messages:
        mine = message.role == "assistant"
        for part in message.parts:
            match part:
                case Text(text):
                    said.append((mine, "text", text))
                case Image():
                    said.append((mine, "image", part.data))
                case ToolCall():
                    said.append((mine, "call", part.id, orjson.loads(part.arguments)))
                case ToolResult():
                    said.append(
                        (
                            mine,
                            "result",
                            part.tool_call_id,
                            [inner.text for inner in part.content if type(inner) is Text],
                        )
                    )
                case Reasoning():
                    said.append((mine, "thought", part.text))
    return said


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
@given(messages=conversations())
@settings(deadline=None, max_examples=40)
def test_any_conversation_survives_the_way_through_a_door_to_a_vendor(
    door: Dialect, provider: Dialect, messages: tuple[Message, ...]
) -> None:
    start = ChatRequest("m", messages, max_tokens=9)
    at_door = door.parse_request(door.render_request(start), model="m", is_stream=False)
    at_vendor = provider.parse_request(provider.render_request(at_door), model="m", is_stream=False)
    assert flat(at_door) == flat(at_vendor) == flat(start)


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_seal_of_gemini_survives_a_client_of_chat_completions_and_no_other_one_is_sent_to_it(door: Dialect) -> None:
    reply = PROVIDERS["gemini"].parse_reply(REPLIES["gemini"])
    told = door.parse_reply(door.render_reply(reply))
    back = ChatRequest("m", (Message("assistant", told.parts),), dialect=door.name)
    body: Any = PROVIDERS["gemini"].render_request(back)
    sealed = [part["thoughtSignature"] for part in body["contents"][0]["parts"] if "functionCall" in part]
    assert sealed == ["U0VBTA==" if door.name in ("openai", "gemini") else "skip_thought_signature_validator"]


def test_a_seal_is_read_in_streams_of_chat_completions_too() -> None:
    request = asked("openai", stream=True)
    writer = OpenAI().event_renderer(request, created=1, reply_id="r")
    wire = (
        writer.render(ToolCallDelta(0, "c", "n", "{}", "U0VBTA=="))
        + writer.render(Finished("tool_calls"))
        + writer.close()
    )
    events = OpenAI().event_parser().feed(wire)
    assert ToolCallDelta(0, "c", "n", "{}", "U0VBTA==") in events


REASONS = [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("tool_calls", "tool_calls")]


@pytest.mark.parametrize(("door", "provider"), CROSSED)
@pytest.mark.parametrize(("reason", "heard"), REASONS)
def test_why_an_answer_ended_is_told_alike_whole_and_streamed(
    door: str, provider: str, reason: Any, heard: str
) -> None:
    parts: tuple[Part, ...] = (Text("a"),) if reason != "tool_calls" else (ToolCall("c", "n", "{}"),)
    vendor, client = PROVIDERS[provider], DOORS[door]
    reply = vendor.parse_reply(vendor.render_reply(ChatReply("m", parts, reason, Usage(input=1, output=1))))
    assert client.parse_reply(client.render_reply(reply)).finish_reason == heard
    delta: StreamEvent = TextDelta("a") if reason != "tool_calls" else ToolCallDelta(0, "c", "n", "{}")
    writer = vendor.event_renderer(asked(door), created=1, reply_id="r")
    events = vendor.event_parser().feed(writer.render(delta) + writer.render(Finished(reason)) + writer.close())
    teller = client.event_renderer(asked(door), created=1, reply_id="r")
    told = client.event_parser().feed(b"".join([*map(teller.render, events), teller.close()]))
    assert [event.finish_reason for event in told if isinstance(event, Finished)] == [heard]
