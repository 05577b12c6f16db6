"""Vendors that answer oddly, as the official SDK sees them through the door of its own language."""

import openai
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.wires import stream_error_of, wire_of
from tests.journeys.vendors.conftest import Shop


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
