"""Two hundred calls at once on a balance worth fifty: fifty are served, and not one more reaches the provider."""

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.server import token
from tests.journeys.money.books import PARAMS, PRICE, TOKENS, Place, open_for_business, spending
from tests.journeys.world import Client

CALLS, WORTH = 200, 50


async def outcome(client: Client, *, is_stream: bool) -> dict[str, Any]:
    """The final reply, however it was asked for."""
    if is_stream:
        return (await client.stream(PARAMS))[-1]
    return await client.call("executeAIRequest", PARAMS)


async def rush(client: Client, *, is_stream: bool) -> list[dict[str, Any]]:
    """All calls at once."""
    clients = [Client(client.server, client.http, client.token) for _ in range(CALLS)]
    return await asyncio.gather(*(outcome(each, is_stream=is_stream) for each in clients))


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streams"])
async def test_what_is_worth_fifty_calls_serves_fifty(
    place: Place, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str, *, is_stream: bool
) -> None:
    for tier, price in PRICE.items():
        await place.grant(tier, f"ada-{tier}", WORTH * price)
    vendor.script = spending(is_stream=is_stream)
    with open_for_business(place, vendor, private_key) as server:
        for tier in ("tokens", "credits", "quota"):
            vendor.seen.clear()
            bearer = await asyncio.to_thread(token, server, f"ada-{tier}", tier)
            replies = await rush(Client(server, wide, bearer), is_stream=is_stream)
            codes = Counter(reply.get("error", {}).get("code", "served") for reply in replies)
            refused = -32001 if tier == "quota" else -32003
            assert codes == {"served": WORTH, refused: CALLS - WORTH}
            assert len(vendor.seen) == WORTH
    for tier in PRICE:
        balance = await place.balance(tier, f"ada-{tier}")
        assert (balance.posted, balance.held) == (0, 0)
    assert await place.used("ada-quota") == (WORTH * TOKENS, 0)
    for tier in ("tokens", "credits", "quota"):
        rows = await place.rows(f"ada-{tier}")
        assert Counter((row.outcome, row.charge_amount) for row in rows) == {("done", PRICE.get(tier, 0)): WORTH}
    await place.assert_sound()


async def test_two_hundred_calls_with_one_key_are_one_call(
    place: Place, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str
) -> None:
    await place.grant("tokens", "ada", WORTH * PRICE["tokens"])
    vendor.script = spending(is_stream=False)
    with open_for_business(place, vendor, private_key) as server:
        bearer = await asyncio.to_thread(token, server, "ada", "tokens")
        clients = [Client(server, wide, bearer, headers={"idempotency-key": "one"}) for _ in range(CALLS)]
        replies = await asyncio.gather(*(each.call("executeAIRequest", PARAMS) for each in clients))
        last = await clients[0].result("executeAIRequest", PARAMS)
    assert {reply["error"]["data"]["reason"] for reply in replies if "error" in reply} <= {"in_progress"}
    results = [reply["result"] for reply in replies if "result" in reply]
    assert results
    assert all(result == last for result in results)
    assert len(vendor.seen) == 1
    assert (await place.balance("tokens", "ada")).posted == (WORTH - 1) * PRICE["tokens"]
    await place.assert_sound()
