"""What a vendor sends that nobody can read: the rest is read, and what would falsify the answer in another language is known."""

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Dialect
from methods.dialects.canonical import (
    Finished,
    Image,
    ImageMade,
    RefusalDelta,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)
from methods.dialects.crossing import is_tellable
from methods.dialects.gemini import Gemini
from methods.dialects.openai import OpenAI
from methods.dialects.responses import Responses
from tests.methods.dialects.matrix import HI, PIXEL

SAID = Text("Hi")
UNNAMED = ToolCall("", "", "{}")
DATA_URL = f"data:image/png;base64,{PIXEL}"


def openai(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def anthropic(*content: Any) -> dict[str, Any]:
    return {"type": "message", "content": list(content), "stop_reason": "end_turn"}


def gemini(*parts: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP"}]}


def responses(*output: Any) -> dict[str, Any]:
    return {"output": list(output), "status": "completed"}


MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
BLOCK = {"type": "text", "text": "Hi"}


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OpenAI(), openai(content=[{"type": "hologram"}, BLOCK, 7])),
        (OpenAI(), openai(content="Hi", images=[{}, "x", {"image_url": {"url": "data:image/png;nonsense"}}])),
        (Anthropic(), anthropic({"type": "text"}, BLOCK, 1, {"type": 5}, {"type": "thinking"})),
        (Gemini(), gemini({"text": None}, {"text": "Hi"}, 7, {"inlineData": {}}, {"hologram": {}})),
        (Responses(), responses("x", MESSAGE, {"type": "message"}, {"type": "reasoning", "summary": "x"})),
        (Responses(), responses({"type": "message", "content": [{"type": "hologram"}, *MESSAGE["content"]]})),
    ],
)
def test_the_rest_of_a_reply_is_read_where_a_part_cannot_be(dialect: Dialect, body: Any) -> None:
    reply = dialect.parse_reply(body)
    assert reply.parts == (SAID,)
    assert is_tellable(reply)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OpenAI(), openai(content="Hi", tool_calls=[{}])),
        (OpenAI(), openai(tool_calls=[{"id": "c", "function": {"name": None, "arguments": "{}"}}])),
        (OpenAI(), openai(content=[{"type": "hologram"}])),
        (OpenAI(), openai(images=[{}])),
        (Anthropic(), anthropic(BLOCK, {"type": "tool_use", "id": "c", "input": {}})),
        (Anthropic(), anthropic({"type": "tool_use", "id": "c", "name": "f", "input": "x"})),
        (Anthropic(), anthropic({"type": "hologram"})),
        (Gemini(), gemini({"text": "Hi"}, {"functionCall": {"args": {}}})),
        (Gemini(), gemini({"function_call": {"name": ""}})),
        (Gemini(), gemini({"functionCall": {"name": "f", "args": "x"}})),
        (Gemini(), gemini({"hologram": {"a": 1}})),
        (Responses(), responses(MESSAGE, {"type": "function_call", "name": "n"})),
        (Responses(), responses("x")),
        (OpenAI(), {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
        (OpenAI(), {"choices": [{"text": "Hi"}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
        (Anthropic(), {"content": "Hi", "usage": {"input_tokens": 3, "output_tokens": 4}}),
    ],
)
def test_a_call_of_nobody_knows_what_and_an_answer_of_nothing_else_cannot_be_told_elsewhere(
    dialect: Dialect, body: Any
) -> None:
    assert not is_tellable(dialect.parse_reply(body))


@pytest.mark.parametrize("dialect", [OpenAI(), Anthropic()])
def test_an_error_that_was_counted_is_an_error(dialect: Dialect) -> None:
    usage: Any = {"prompt_tokens": 3, "completion_tokens": 4, "input_tokens": 3, "output_tokens": 4}
    with pytest.raises(ValueError, match="reply"):
        dialect.parse_reply({"error": {"message": "no"}, "usage": usage})


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OpenAI(), openai(content=None)),
        (Anthropic(), anthropic()),
        (Gemini(), gemini({"text": None})),
        (Gemini(), gemini({"thoughtSignature": "c2VhbA=="})),
        (Gemini(), {"candidates": [{"finishReason": "STOP"}]}),
        (Responses(), responses()),
    ],
)
def test_an_answer_that_says_nothing_is_told_as_one_that_says_nothing(dialect: Dialect, body: Any) -> None:
    reply = dialect.parse_reply(body)
    assert reply.parts == ()
    assert is_tellable(reply)


def read(dialect: Dialect, *events: Any) -> list[StreamEvent]:
    parser = dialect.event_parser()
    found = parser.feed(b"".join([b"data: %b\n\n" % orjson.dumps(event) for event in events]))
    assert parser.is_complete
    return [event for event in found if not isinstance(event, Started)]


def chunk(delta: Any, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


STOPPED = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
END = {"type": "message_stop"}
BEGUN = {"type": "message_start", "message": {"id": "m", "model": "m"}}


def block(start: Any, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": start}


@pytest.mark.parametrize(
    ("dialect", "events"),
    [
        (OpenAI(), [chunk({"content": [{"type": "hologram"}, BLOCK]}), {"hello": 1}, chunk({}, "stop")]),
        (OpenAI(), [chunk({"content": "Hi", "images": [{}]}), chunk({}, "stop")]),
        (Anthropic(), [BEGUN, block({"type": "hologram"}), block(BLOCK), {"type": "content_block_delta"}, STOPPED, END]),
        (Anthropic(), [BEGUN, {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}, STOPPED, END]),
        (Gemini(), [gemini({"text": None}, {"text": "Hi"}, {"fileData": {}}, {"text": 7})]),
    ],
)  # fmt: skip
def test_the_rest_of_a_stream_is_read_where_a_part_cannot_be(dialect: Dialect, events: Sequence[Any]) -> None:
    said = read(dialect, *events)
    assert [event.text for event in said if isinstance(event, TextDelta)] == ["Hi"]
    assert [event.finish_reason for event in said if isinstance(event, Finished)] == ["stop"]


@pytest.mark.parametrize(
    ("dialect", "events"),
    [
        (OpenAI(), [chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}), chunk({}, "stop")]),
        (Anthropic(), [BEGUN, block({"type": "tool_use", "id": "c"}), STOPPED, END]),
        (Gemini(), [gemini({"functionCall": {"args": {}}})]),
    ],
)
def test_a_call_of_a_stream_that_nobody_can_read_has_no_name(dialect: Dialect, events: Sequence[Any]) -> None:
    [call] = [event for event in read(dialect, *events) if isinstance(event, ToolCallDelta)]
    assert not call.name


def test_a_stream_of_anthropic_that_ends_without_a_reason_has_ended() -> None:
    said = [BEGUN, block(BLOCK)]
    assert read(Anthropic(), *said, END)[-1] == Finished("other")
    assert read(Anthropic(), *said, {"type": "message_delta", "delta": {"stop_reason": None}}, END)[-1] == Finished(
        "other"
    )
    call = block({"type": "tool_use", "id": "c", "name": "f", "input": {}}, 1)
    assert read(Anthropic(), *said, call, END)[-1] == Finished("tool_calls")
    assert read(Anthropic(), *said, STOPPED, END).count(Finished("stop", "end_turn")) == 1


def written(dialect: Dialect, *events: StreamEvent) -> list[dict[str, Any]]:
    request = dialect.parse_request(HI[dialect.name], model="m", is_stream=True)
    renderer = dialect.event_renderer(request, created=1, reply_id="r")
    data = b"".join([*map(renderer.render, events), renderer.close()])
    lines = [line.removeprefix(b"data: ") for line in data.splitlines() if line.startswith(b"data: {")]
    return [orjson.loads(line) for line in lines]


IMAGES = [ImageMade(Image("image/png", PIXEL), 1), ImageMade(Image(url="https://example.org/a.png"), 2)]
STREAM: Sequence[StreamEvent] = (Started("r", "m"), TextDelta("Look"), *IMAGES, Finished("stop"))


def test_images_of_gemini_and_of_compatible_vendors_are_read_in_a_stream() -> None:
    inline = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
    found = read(Gemini(), gemini({"text": "Look"}, inline, inline))
    image = Image("image/png", PIXEL)
    assert found[:3] == [TextDelta("Look"), ImageMade(image, 1), ImageMade(image, 2)]
    shown = {"type": "image_url", "image_url": {"url": DATA_URL}}
    found = read(OpenAI(), chunk({"content": "Look", "images": [shown]}), chunk({"images": [shown]}), chunk({}, "stop"))
    assert found[1:3] == [ImageMade(image, 0), ImageMade(image, 1)]


def test_an_image_in_a_stream_is_told_as_in_a_whole_reply() -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in written(OpenAI(), *STREAM)]
    images = [image for delta in deltas for image in delta.get("images", ())]
    assert [image["image_url"]["url"] for image in images] == [DATA_URL, "https://example.org/a.png"]
    assert [image["index"] for image in images] == [1, 2]

    *events, last = written(Responses(), *STREAM)
    results = [PIXEL, "https://example.org/a.png"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["result"] for item in done[1:]] == results
    assert last["response"]["output"] == done
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.added"] == [0, 1, 2]
    assert [part for part in Responses().parse_reply(last["response"]).parts if isinstance(part, Image)] == [
        Image("image/png", data) for data in results
    ]

    parts = [part for event in written(Gemini(), *STREAM) for part in event["candidates"][0]["content"]["parts"]]
    assert parts[1:3] == [
        {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
        {"fileData": {"fileUri": "https://example.org/a.png"}},
    ]
    assert [event["type"] for event in written(Anthropic(), *STREAM)].count("content_block_start") == 1


def test_a_refusal_in_a_stream_is_one_for_a_client_of_responses_and_text_for_the_others() -> None:
    refused: Sequence[StreamEvent] = (
        Started("r", "m"),
        RefusalDelta("I "),
        RefusalDelta("won't."),
        Finished("content_filter", "stop"),
    )
    events = written(Responses(), *refused)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(10))
    whole = events[-1]["response"]
    assert whole["output"][0]["content"] == [{"type": "refusal", "refusal": "I won't."}]
    assert (whole["status"], whole["incomplete_details"]) == ("completed", None)
    for dialect in (Anthropic(), Gemini(), OpenAI()):
        assert "won't." in orjson.dumps(written(dialect, *refused)).decode()
    mixed = written(Responses(), Started("r", "m"), TextDelta("Hm."), *refused[1:])[-1]["response"]
    assert [part["type"] for part in mixed["output"][0]["content"]] == ["output_text", "refusal"]


def test_an_answer_that_is_said_to_be_finished_in_every_event_ends_once() -> None:
    events = read(Gemini(), *[gemini({"text": word}) for word in ("Look ", "here")])
    assert len([event for event in events if isinstance(event, Finished)]) == 2
    choices = [chunk["choices"][0] for chunk in written(OpenAI(), *events)]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]
    assert [choice["delta"].get("content") for choice in choices] == ["", "Look ", "here", None]
