"""Vendors that answer oddly, as the official SDK sees them through the door of its own language."""

import openai
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import stream_error_of, wire_of
from tests.journeys.vendors.conftest import OPENAI, PATHS, Shop
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
