"""Answers of which nobody here can read a part: the vendor has billed them, so what is honest of them is served and paid."""

from typing import Any

import orjson
import pytest

from monetization.estimate import IMAGE_TOKENS_LIKELY
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import TOKENS_IN, TOKENS_OUT, Vendor, wire_of
from tests.journeys.vendors.conftest import ANTHROPIC, GEMINI, OPENAI, PATHS, Shop
from tests.journeys.world import usage_rows

STREAM = "/v1/models/google/fake:streamGenerateContent?alt=sse"
USAGE: dict[str, Any] = {
    "openai": {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT},
    "google": {"promptTokenCount": TOKENS_IN, "candidatesTokenCount": TOKENS_OUT},
}


def whole(vendor: Vendor, *said: Any) -> bytes:
    """A whole reply that holds these parts beside a text."""
    reply = orjson.loads(wire_of(vendor, "fake").reply)
    match vendor:
        case "openai":
            reply["choices"][0]["message"] = {"role": "assistant", "content": [{"type": "text", "text": "Hi"}, *said]}
        case "anthropic":
            reply["content"] = [{"type": "text", "text": "Hi"}, *said]
        case "google":
            reply["candidates"][0]["content"]["parts"] = [{"text": "Hi"}, *said]
    return orjson.dumps(reply)


def streamed(vendor: Vendor, *said: Any) -> bytes:
    """The same as a stream."""
    first, *rest = wire_of(vendor, "fake").events
    match vendor:
        case "openai":
            choice = {"index": 0, "delta": {"content": [{"type": "text", "text": "Hi"}, *said]}, "finish_reason": None}
            events = [first, b"data: %b\n\n" % orjson.dumps({"id": "c", "choices": [choice]}), *rest[-3:]]
        case "anthropic":
            block = {"type": "content_block_start", "index": 0}
            odd = [{**block, "content_block": part} for part in ({"type": "text", "text": "Hi"}, *said)]
            events = [first, *[b"event: content_block_start\ndata: %b\n\n" % orjson.dumps(each) for each in odd]]
            events += rest[-2:]
        case "google":
            candidate = {"content": {"parts": [{"text": "Hi"}, *said]}, "finishReason": "STOP"}
            events = [b"data: %b\n\n" % orjson.dumps({"candidates": [candidate], "usageMetadata": USAGE["google"]})]
    return b"".join(events)


SAME: list[tuple[Vendor, str, Any, list[Any]]] = [
    ("openai", PATHS["openai"], OPENAI, [{"type": "hologram", "data": "x"}]),
    ("anthropic", PATHS["anthropic"], ANTHROPIC, [{"type": "tool_use", "input": "x"}, {"type": "thinking"}, {"type": 5}]),
    ("google", PATHS["gemini"], GEMINI, [{"text": None}, {"functionCall": {"args": {}}}, {"inlineData": {}}]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "asked", "parts"), SAME)
async def test_a_client_of_the_vendors_own_language_gets_it_as_it_is_and_pays_what_the_vendor_counted(
    shop: Shop, vendor: FakeProvider, name: Vendor, path: str, asked: Any, parts: list[Any]
) -> None:
    _, bearer = await shop.user()
    vendor.script = Script(body=whole(name, *parts))
    reply = await shop.ask(path, asked, bearer=bearer)
    assert (reply.status, reply.body) == (200, vendor.script.body)
    vendor.script = Script(body=streamed(name, *parts), content_type="Text/Event-Stream;charset=UTF-8")
    stream = (STREAM, asked) if name == "google" else (path, {**asked, "stream": True})
    events = await shop.ask(*stream, bearer=bearer)
    assert events.status == 200, events.body
    for part in parts:
        assert orjson.dumps(part) in events.body
    for answer in (reply, events):
        [row] = usage_rows(shop.server, answer.headers["x-request-id"])
        assert (row["outcome"], row["is_estimated"]) == ("done", 0)
        assert (row["tokens_input"], row["tokens_output"]) == (TOKENS_IN, TOKENS_OUT)


CROSSED: list[tuple[Vendor, str, Any, list[Any]]] = [
    ("openai", PATHS["anthropic"], {**ANTHROPIC, "model": "openai/fake"}, [{"type": "hologram"}]),
    ("anthropic", PATHS["openai"], {**OPENAI, "model": "anthropic/fake"}, [{"type": "text"}, {"type": "thinking"}]),
    ("google", "/v1/responses", {"model": "google/fake", "input": "Hi"}, [{"text": None}, {"inlineData": {}}, 7]),
]


@pytest.mark.parametrize(("name", "path", "asked", "parts"), CROSSED)
async def test_a_client_of_another_language_gets_the_rest_of_it(
    shop: Shop, vendor: FakeProvider, name: Vendor, path: str, asked: Any, parts: list[Any]
) -> None:
    _, bearer = await shop.user()
    for script, members in ((whole(name, *parts), {}), (streamed(name, *parts), {"stream": True})):
        vendor.script = Script(body=script)
        reply = await shop.ask(path, {**asked, **members}, bearer=bearer)
        assert (reply.status, b'"Hi"' in reply.body) == (200, True), reply.body
        [row] = usage_rows(shop.server, reply.headers["x-request-id"])
        assert (row["outcome"], row["tokens_input"], row["tokens_output"]) == ("done", TOKENS_IN, TOKENS_OUT)


CALLS: list[tuple[Vendor, Any]] = [
    ("anthropic", {"type": "tool_use", "id": "c", "input": {}}),
    ("google", {"functionCall": {"args": {}}}),
]


@pytest.mark.parametrize(("name", "call"), CALLS)
async def test_a_call_that_nobody_can_read_is_not_left_out_for_a_client_of_another_language(
    shop: Shop, vendor: FakeProvider, name: Vendor, call: Any
) -> None:
    _, bearer = await shop.user()
    asked = {**OPENAI, "model": f"{name}/fake"}
    vendor.script = Script(body=whole(name, call))
    reply = await shop.ask(PATHS["openai"], asked, bearer=bearer)
    assert (reply.status, "nobody here can read" in reply.json["error"]["message"]) == (502, True), reply.body
    [row] = usage_rows(shop.server, reply.headers["x-request-id"])
    assert (row["outcome"], row["tokens_input"], row["tokens_output"]) == ("failed", 0, 0)
    assert len(vendor.seen) == 1, "the vendor bills each time it is asked"

    vendor.script = Script(body=streamed(name, call))
    events = await shop.ask(PATHS["openai"], {**asked, "stream": True}, bearer=bearer)
    assert b'"content":"Hi"' in events.body
    assert b"nobody here can read" in events.body
    assert not events.body.endswith(b"[DONE]\n\n")
    [row] = usage_rows(shop.server, events.headers["x-request-id"])
    assert row["outcome"] == "partial"
    assert row["tokens_output"] > 0


async def test_a_reply_without_any_message_is_charged_where_the_vendor_has_counted_it(
    shop: Shop, vendor: FakeProvider
) -> None:
    _, bearer = await shop.user()
    reply = orjson.loads(wire_of("openai", "fake").reply)
    vendor.script = Script(body=orjson.dumps({**reply, "choices": []}))
    same = await shop.ask(PATHS["openai"], OPENAI, bearer=bearer)
    assert (same.status, same.body) == (200, vendor.script.body)
    other = await shop.ask(PATHS["anthropic"], {**ANTHROPIC, "model": "openai/fake"}, bearer=bearer)
    assert other.status == 502
    rows = [usage_rows(shop.server, answer.headers["x-request-id"])[0] for answer in (same, other)]
    assert [(row["outcome"], row["tokens_output"]) for row in rows] == [("done", TOKENS_OUT), ("failed", 0)]


async def test_a_reply_whose_media_type_is_written_in_capitals_is_json(shop: Shop, vendor: FakeProvider) -> None:
    _, bearer = await shop.user()
    vendor.script = Script(body=wire_of("openai", "fake").reply, content_type="Application/JSON")
    assert (await shop.ask(PATHS["openai"], OPENAI, bearer=bearer)).status == 200


async def test_an_image_that_was_delivered_is_paid_for_where_the_stream_breaks_after_it(
    shop: Shop, vendor: FakeProvider
) -> None:
    _, bearer = await shop.user()
    candidate = {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]}}
    vendor.script = Script(body=b"data: %b\r\n\r\n" % orjson.dumps({"candidates": [candidate]}))
    events = await shop.ask(STREAM, GEMINI, bearer=bearer)
    assert b"iVBORw0KGgo=" in events.body
    [row] = usage_rows(shop.server, events.headers["x-request-id"])
    assert (row["outcome"], row["is_estimated"], row["tokens_output"]) == ("partial", 1, IMAGE_TOKENS_LIKELY)
