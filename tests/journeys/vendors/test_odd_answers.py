"""Vendors that answer oddly, as the official SDK sees them through the door of its own language."""

from typing import Any

import anthropic
import openai
import orjson
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import stream_error_of, wire_of
from tests.journeys.vendors.conftest import ANTHROPIC, GEMINI, OPENAI, PATHS, Shop
from tests.journeys.world import usage_rows


async def test_an_error_that_the_vendor_follows_with_its_ending_still_raises_in_the_sdk(
    shop: Shop, vendor: FakeProvider
) -> None:
    _, bearer = await shop.user()
    role, text, *_ = wire_of("openai", "fake").events
    error = stream_error_of("openai", "scripted failure")
    vendor.script = Script(body=role + text + error + b"data: [DONE]\n\n")  # as vLLM does
    async with openai.AsyncOpenAI(base_url=f"{shop.server.url}/v1", api_key=bearer, max_retries=0) as client:
        chunks = await client.chat.completions.create(
            model="openai/fake", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        with pytest.raises(openai.APIError, match="scripted failure"):
            _ = [chunk async for chunk in chunks]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_that_comes_with_status_200_has_its_own_class_and_costs_nothing(
    shop: Shop, vendor: FakeProvider, *, stream: bool
) -> None:
    _, bearer = await shop.user()
    vendor.script = Script(body=b'{"error":{"message":"slow down","code":429}}', content_type="application/json")
    reply = await shop.ask(PATHS["openai"], {**OPENAI, "stream": stream}, bearer=bearer)
    assert (reply.status, reply.json["error"]["type"]) == (429, "rate_limit_error"), reply.body
    [row] = usage_rows(shop.server, reply.headers["x-request-id"])
    assert (row["outcome"], row["tokens_input"], row["tokens_output"]) == ("failed", 0, 0)


async def test_a_response_that_failed_before_it_began_is_a_failure_and_costs_nothing(
    shop: Shop, vendor: FakeProvider
) -> None:
    _, bearer = await shop.user()
    error = b'{"code":"rate_limit_exceeded","message":"slow down"}'
    vendor.script = Script(body=b'{"id":"r","object":"response","status":"failed","output":[],"error":%b}' % error)
    reply = await shop.ask("/v1/responses", {"model": "native/fake", "input": "Hi"}, bearer=bearer)
    assert (reply.status, reply.json["error"]["type"]) == (429, "rate_limit_error"), reply.body
    [row] = usage_rows(shop.server, reply.headers["x-request-id"])
    assert (row["outcome"], row["tokens_input"], row["tokens_output"]) == ("failed", 0, 0)


CALLED = "the whole answer, written as what a tool is given " * 9
CUSTOM = {"tools": [{"type": "custom", "custom": {"name": "c"}}]}
OLDER = {"functions": [{"name": "f"}]}
RESPONSES = {"model": "native/fake", "input": "Hi", "tools": [{"type": "custom", "name": "c"}]}


def chunk(delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: %b\n\n" % orjson.dumps({"id": "c", "model": "fake", "choices": [choice]})


def told(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, "output_index": 0, **members}))


STREAMS: dict[str, tuple[str, dict[str, Any], bytes]] = {
    "custom": (
        PATHS["openai"],
        {**OPENAI, **CUSTOM},
        chunk({"tool_calls": [{"index": 0, "id": "t", "type": "custom", "custom": {"name": "c", "input": CALLED}}]}),
    ),
    "older": (PATHS["openai"], {**OPENAI, **OLDER}, chunk({"function_call": {"name": "f", "arguments": CALLED}})),
    "responses": (
        "/v1/responses",
        RESPONSES,
        told("response.created", response={"id": "r"}) + told("response.custom_tool_call_input.delta", delta=CALLED),
    ),
    "items": (
        "/v1/responses",
        {**RESPONSES, "tools": [{"type": "local_shell"}]},
        told("response.created", response={"id": "r"})
        + told("response.output_item.done", item={"type": "local_shell_call", "action": {"command": [CALLED]}}),
    ),
}


@pytest.mark.parametrize("kind", STREAMS)
async def test_what_a_model_writes_for_any_tool_of_the_clients_is_charged_when_the_stream_breaks(
    shop: Shop, vendor: FakeProvider, kind: str
) -> None:
    """Otherwise who lets a tool be given the whole answer, and leaves before the end, has it for nothing."""
    _, bearer = await shop.user()
    path, body, wire = STREAMS[kind]
    vendor.script = Script(body=wire)
    reply = await shop.ask(path, {**body, "stream": True}, bearer=bearer)
    assert CALLED.encode() in reply.body
    [row] = usage_rows(shop.server, reply.headers["x-request-id"])
    assert (row["outcome"], row["tokens_output"] > 50) == ("partial", True), row


async def test_a_call_of_a_custom_tool_reaches_the_client_as_the_vendor_wrote_it(
    shop: Shop, vendor: FakeProvider
) -> None:
    _, bearer = await shop.user()
    call = {"id": "t", "type": "custom", "custom": {"name": "c", "input": "ls"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    body = orjson.dumps({"id": "c", "object": "chat.completion", "model": "fake", "choices": [choice]})
    vendor.script = Script(body=body)
    reply = await shop.ask(PATHS["openai"], {**OPENAI, **CUSTOM}, bearer=bearer)
    assert (reply.status, reply.body) == (200, body)


@pytest.mark.parametrize(
    ("door", "status", "word"),
    [("openai", 429, "insufficient_quota"), ("anthropic", 402, "billing_error"), ("gemini", 403, "PERMISSION_DENIED")],
)
async def test_an_own_account_without_money_raises_what_the_vendor_itself_would_raise(
    shop: Shop, vendor: FakeProvider, door: str, status: int, word: str
) -> None:
    _, bearer = await shop.user()
    vendor.script = Script(status=402)
    body = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}[door]
    own: Any = {"x_goog_api_key": "own-key"} if door == "gemini" else {"authorization": "Bearer own-key"}
    reply = await shop.ask(PATHS[door], body, x_tollgate_key=bearer, **own)
    assert reply.status == status, reply.body
    assert word in (reply.json["error"].get("type"), reply.json["error"].get("status"))
    assert "your account there" in reply.json["error"]["message"]
    assert reply.headers.get("x-should-retry") == ("false" if door == "openai" else None)


@pytest.mark.parametrize(
    ("status", "of_openai", "of_anthropic", "of_gemini"),
    [
        (409, openai.ConflictError, anthropic.ConflictError, 409),
        (413, openai.BadRequestError, anthropic.ContentTooLargeError, 400),
        (422, openai.UnprocessableEntityError, anthropic.UnprocessableEntityError, 400),
    ],
)
async def test_a_request_that_the_vendor_refuses_raises_the_class_that_the_doors_own_sdk_has_for_it(
    shop: Shop, vendor: FakeProvider, status: int, of_openai: Any, of_anthropic: Any, of_gemini: int
) -> None:
    _, bearer = await shop.user()
    vendor.script = Script(status=status, message="not this one")
    messages: Any = OPENAI["messages"]
    for model in ("openai/fake", "anthropic/fake"):
        async with openai.AsyncOpenAI(base_url=f"{shop.server.url}/v1", api_key=bearer) as ours:
            with pytest.raises(of_openai, match="not this one"):
                await ours.chat.completions.create(model=model, messages=messages)
        async with anthropic.AsyncAnthropic(base_url=shop.server.url, auth_token=bearer) as theirs:
            with pytest.raises(of_anthropic, match="not this one"):
                await theirs.messages.create(model=model, messages=messages, max_tokens=9)
    reply = await shop.ask(PATHS["gemini"], GEMINI, bearer=bearer)
    assert (reply.status, reply.json["error"]["code"]) == (of_gemini, of_gemini)
    assert len(vendor.seen) == 5, "none of them can be mended by asking again"
