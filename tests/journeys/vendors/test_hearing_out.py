"""Clients that leave between the end of an answer and the vendor's count of it: the count is heard, and nobody waits for long."""

import asyncio
from typing import Any

import pytest

from monetization.counting import tokens_likely
from tests.fakes.provider import FakeProvider, Seen
from tests.fakes.scripts import Script
from tests.fakes.wires import TEXT, TOKENS_IN, TOKENS_OUT
from tests.journeys.vendors.conftest import OPENAI, PATHS, Shop
from tests.journeys.world import eventually, usage_rows

COUNT = 10
"""Events of the stream before the one that counts it; the last of them is the finish."""
LEFT_SECONDS = 0.3
"""A stream that is not read on is closed within a tenth of a second."""
PATIENCE_SECONDS = 10.0


async def left_at_the_finish(shop: Shop, vendor: FakeProvider, name: str) -> Seen:
    """The vendor's view of a call whose client reads the finish and goes."""
    _, bearer = await shop.user()
    headers = {"authorization": f"Bearer {bearer}", "x-request-id": name}
    asked = {**OPENAI, "stream": True, "stream_options": {"include_usage": True}}
    async with shop.http.post(shop.server.url + PATHS["openai"], json=asked, headers=headers) as reply:
        async for line in reply.content:
            if b'"finish_reason":"stop"' in line:
                break
        reply.close()
    [seen] = vendor.seen
    return seen


async def row_of(shop: Shop, name: str) -> Any:
    await eventually(lambda: bool(usage_rows(shop.server, name)), seconds=PATIENCE_SECONDS)
    [row] = usage_rows(shop.server, name)
    return row


async def test_who_leaves_at_the_finish_pays_what_the_vendor_counted(shop: Shop, vendor: FakeProvider) -> None:
    waits = asyncio.Event()
    vendor.script = Script(waits=waits, waits_after=COUNT)
    seen = await left_at_the_finish(shop, vendor, "heard-out")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(seen.closed.wait(), LEFT_SECONDS)
    waits.set()
    row = await row_of(shop, "heard-out")
    assert (row["outcome"], row["is_partial"], row["is_estimated"]) == ("cancelled", 0, 0)
    assert (row["tokens_input"], row["tokens_output"]) == (TOKENS_IN, TOKENS_OUT)


async def test_a_vendor_that_never_counts_is_not_waited_for_long(shop: Shop, vendor: FakeProvider) -> None:
    vendor.script = Script(hangs_after=COUNT)
    seen = await left_at_the_finish(shop, vendor, "never-counted")
    await asyncio.wait_for(seen.closed.wait(), PATIENCE_SECONDS)
    row = await row_of(shop, "never-counted")
    assert (row["outcome"], row["is_estimated"], row["tokens_output"]) == ("cancelled", 1, tokens_likely(TEXT))
