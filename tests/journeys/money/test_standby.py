"""A standby of PostgreSQL: it can be looked into, refuses every call that would spend, and serves once it is promoted."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.postgres import FAST, NoPostgres, Server, running, unavailable
from tests.fakes.provider import FakeProvider
from tests.fakes.server import token
from tests.journeys.money.books import PARAMS, PRICE, Place, open_for_business, spending
from tests.journeys.world import Client

SENDING = ("-c", "wal_level=replica", "-c", "max_wal_senders=4")


@pytest.fixture
def primary() -> Iterator[Server]:
    try:
        with running(*FAST, *SENDING) as server:
            yield server
    except NoPostgres as failed:
        unavailable(str(failed))


async def test_a_standby_refuses_to_spend_until_it_is_promoted(
    primary: Server, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    url = await asyncio.to_thread(primary.fresh)
    await Place(url, 1, tmp_path).grant("tokens", "ada", 100 * PRICE["tokens"])
    vendor.script = spending(is_stream=False)
    with tempfile.TemporaryDirectory(prefix="standby-", ignore_cleanup_errors=True) as folder:
        standby = await asyncio.to_thread(primary.standby, Path(folder))
        try:
            place = Place(standby.url(primary.database(url)), 1, tmp_path)
            with open_for_business(place, vendor, private_key) as server:
                client = Client(server, wide, await asyncio.to_thread(token, server, "ada", "tokens"))
                for _ in range(3):
                    error = await client.error("executeAIRequest", PARAMS)
                    assert (error["code"], error["data"]["reason"]) == (-32010, "storage_unavailable")
                assert vendor.seen == []
                assert (await client.result("getTokenBalance"))["availableTokens"] == 100 * PRICE["tokens"]
                await asyncio.to_thread(primary.kill)
                standby.query("SELECT pg_promote()")
                async with asyncio.timeout(30):
                    while "error" in await client.call("executeAIRequest", PARAMS):  # noqa: ASYNC110  # nothing tells of it
                        await asyncio.sleep(0.1)
            assert (await place.balance("tokens", "ada")).posted == 99 * PRICE["tokens"]
            await place.assert_sound()
        finally:
            standby.stop()
