"""A disk that is full while the server runs: calls are refused in clear words, nothing is half written, and it passes."""

import asyncio
import resource
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, token
from tests.journeys.money.books import PARAMS, PRICE, Place, open_for_business, spending
from tests.journeys.world import Client, eventually


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(f"sqlite:///{tmp_path / 'tollgate.db'}", 1, tmp_path)


def let_files_grow(server: Server, *, to: int) -> None:
    """No file of the server may become longer than this: to the database, a disk without room."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (to, resource.RLIM_INFINITY))


def fill(server: Server) -> None:
    """The log of the database is the file that grows with every commit."""
    let_files_grow(server, to=(server.folder / "tollgate.db-wal").stat().st_size)


async def test_a_full_disk_refuses_calls_before_the_provider_and_passes_by_itself(
    place: Place, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str
) -> None:
    await place.grant("tokens", "ada", 10 * PRICE["tokens"])
    vendor.script = spending(is_stream=False)
    with open_for_business(place, vendor, private_key) as server:
        client = Client(server, wide, await asyncio.to_thread(token, server, "ada", "tokens"))
        await client.result("executeAIRequest", PARAMS)
        fill(server)
        asked = len(vendor.seen)
        for _ in range(5):
            error = await client.error("executeAIRequest", PARAMS)
            assert (error["code"], error["data"]["reason"]) == (-32010, "storage_unavailable")
        assert len(vendor.seen) == asked
        assert (await client.call("ping"))["result"] is not None
        let_files_grow(server, to=resource.RLIM_INFINITY)
        await client.result("executeAIRequest", PARAMS)
    assert (await place.balance("tokens", "ada")).posted == 8 * PRICE["tokens"]
    assert len(await place.rows("ada")) == 2
    await place.assert_sound()


async def test_a_disk_that_fills_during_a_call_is_waited_for(
    place: Place, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str
) -> None:
    await place.grant("tokens", "ada", 10 * PRICE["tokens"])
    vendor.script = spending(is_stream=False, delay=0.3)
    with open_for_business(place, vendor, private_key) as server:
        client = Client(server, wide, await asyncio.to_thread(token, server, "ada", "tokens"))
        call = asyncio.ensure_future(client.result("executeAIRequest", PARAMS))
        await asyncio.wait_for(vendor.arrived.wait(), 30)
        fill(server)
        await eventually(lambda: vendor.seen[0].is_answered)
        done, _ = await asyncio.wait({call}, timeout=0.3)
        assert not done, "what cannot be written is no answer yet"
        assert server.rows("SELECT count(*) AS n FROM usage")[0]["n"] == 0
        let_files_grow(server, to=resource.RLIM_INFINITY)
        result = await asyncio.wait_for(call, 30)
        assert result["tokenUsage"]["tokensCharged"] == PRICE["tokens"]
    assert (await place.balance("tokens", "ada")).posted == 9 * PRICE["tokens"]
    assert len(await place.rows("ada")) == 1
    await place.assert_sound()
