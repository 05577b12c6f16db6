"""Two hundred calls at once against a hard quota worth fifty: fifty are served, and each threshold is told of once."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing

import aiohttp
import asyncpg  # type: ignore[import-untyped]  # it ships no types
import orjson
import pytest

from storage.store import open_reader
from tests.fakes.provider import FakeProvider
from tests.fakes.server import serving, token
from tests.fakes.valkey import Valkey, valkey_server
from tests.journeys.money.books import TENANT, TOKENS, Place, now_us, settings_of, spending
from tests.journeys.money.test_races import outcome
from tests.journeys.world import Client

__all__ = ["valkey_server"]

WORTH = 50
CALLS = 200


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streams"])
async def test_a_hard_quota_worth_fifty_serves_fifty_of_two_hundred_at_once(
    place: Place,
    vendor: FakeProvider,
    wide: aiohttp.ClientSession,
    private_key: str,
    valkey_server: Valkey,
    *,
    is_stream: bool,
) -> None:
    vendor.script = spending(is_stream=is_stream)
    valkey_server.flush()
    settings = settings_of(place, vendor, private_key)
    settings["storage"]["redis_url"] = valkey_server.url
    with serving(settings, place.folder) as server:
        boss = Client(server, wide, await asyncio.to_thread(token, server, "boss", "tokens", role="admin"))
        await boss.result(
            "setQuota",
            {"userId": "ada", "resource": "message", "period": "daily", "limit": WORTH, "thresholds": [80, 100]},
        )
        await boss.result("setLimits", {"userId": "ada", "monthlyTokens": 10**9})
        bearer = await asyncio.to_thread(token, server, "ada", "quota")
        clients = [Client(server, wide, bearer) for _ in range(CALLS)]
        replies = await asyncio.gather(*(outcome(client, is_stream=is_stream) for client in clients))
    codes = Counter(reply.get("error", {}).get("code", "served") for reply in replies)
    assert codes == {"served": WORTH, -32001: CALLS - WORTH}
    assert len(vendor.seen) == WORTH
    async with open_reader(place.url, clock_us=now_us) as reader:
        counted = {(view.key.resource, view.key.period): view[1:3] for view in await reader.windows(TENANT, "user:ada")}
    assert counted == {
        ("tokens", "monthly"): (WORTH * TOKENS, 0),
        ("requests", "monthly"): (WORTH, 0),
        ("message", "daily"): (WORTH, 0),
    }
    assert await told(place) == [80, 100]
    await place.assert_sound()


async def told(place: Place) -> list[int]:
    """The thresholds of messages in the outbox."""
    query = "SELECT payload FROM outbox WHERE topic='quota.threshold' ORDER BY id"
    if place.url.startswith("sqlite"):
        with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as file:
            found = file.execute(query).fetchall()
    else:
        connection = await asyncpg.connect(place.url)
        found = await connection.fetch(query)
        await connection.close()
    events = [orjson.loads(row[0]) for row in found]
    return [event["thresholdPercent"] for event in events if event["resource"] == "message"]
