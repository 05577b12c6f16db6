"""PostgreSQL that answers but does not serve: read-only, or out of connections. Refused clearly, nothing is half written."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from storage.sql.postgres.connections import Connection, driver
from tests.fakes.postgres import FAST, NoPostgres, Server, running, unavailable
from tests.fakes.provider import FakeProvider
from tests.fakes.server import is_ready, token
from tests.journeys.money.books import PARAMS, PRICE, Place, open_for_business, spending
from tests.journeys.world import Client, eventually

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='tollgate' AND datname=current_database()"
CONNECTIONS = 14


@pytest.fixture
def books(postgres: Server, tmp_path: Path) -> Place:
    return Place(postgres.fresh(), 2, tmp_path)


@pytest.fixture
def narrow() -> Iterator[Server]:
    """A database with few connections."""
    try:
        with running(*FAST, "-c", f"max_connections={CONNECTIONS}") as server:
            yield server
    except NoPostgres as failed:
        unavailable(str(failed))


async def refused(client: Client, vendor: FakeProvider) -> None:
    """A few calls at once, each told clearly that the books cannot be written, and none of them sent on."""
    asked = len(vendor.seen)
    async with asyncio.timeout(30):
        errors = await asyncio.gather(*(client_of(client).error("executeAIRequest", PARAMS) for _ in range(5)))
    assert {(error["code"], error["data"]["reason"]) for error in errors} == {(-32010, "storage_unavailable")}
    assert len(vendor.seen) == asked
    # Without a credential: a worker that has not met this caller yet would have to ask the database who it is.
    assert (await client.call("ping", token=""))["result"] is not None


async def served(client: Client) -> None:
    """Served again by itself, soon."""
    async with asyncio.timeout(30):
        while "error" in await client.call("executeAIRequest", PARAMS):  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.1)


def client_of(client: Client) -> Client:
    return Client(client.server, client.http, client.token)


async def found_sound(place: Place, *, calls: int) -> None:
    balance = await place.balance("tokens", "ada")
    assert (balance.posted, balance.held) == ((100 - calls) * PRICE["tokens"], 0)
    assert [row.charge_amount for row in await place.rows("ada")] == [PRICE["tokens"]] * calls
    await place.assert_sound()


async def test_a_database_that_became_read_only_refuses_calls_until_it_is_writable_again(
    books: Place, postgres: Server, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str
) -> None:
    name = postgres.database(books.url)
    await books.grant("tokens", "ada", 100 * PRICE["tokens"])
    vendor.script = spending(is_stream=False)
    with open_for_business(books, vendor, private_key) as server:
        client = Client(server, wide, await asyncio.to_thread(token, server, "ada", "tokens"))
        await client.result("executeAIRequest", PARAMS)
        postgres.query(f"ALTER DATABASE {name} SET default_transaction_read_only=on")
        postgres.query(CUT, name)
        await refused(client, vendor)
        assert (await client.result("getTokenBalance"))["availableTokens"] == 99 * PRICE["tokens"], "reading works"
        postgres.query(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await served(client)  # although nobody cuts the sessions that still think so
    await found_sound(books, calls=2)


async def test_a_call_that_runs_while_the_database_becomes_read_only_is_settled_once_it_is_not(
    books: Place, postgres: Server, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str
) -> None:
    name = postgres.database(books.url)
    await books.grant("tokens", "ada", 100 * PRICE["tokens"])
    vendor.script = spending(is_stream=False, delay=0.3)
    with open_for_business(books, vendor, private_key) as server:
        client = Client(server, wide, await asyncio.to_thread(token, server, "ada", "tokens"))
        call = asyncio.ensure_future(client.result("executeAIRequest", PARAMS))
        await asyncio.wait_for(vendor.arrived.wait(), 30)
        postgres.query(f"ALTER DATABASE {name} SET default_transaction_read_only=on")
        postgres.query(CUT, name)
        await eventually(lambda: vendor.seen[0].is_answered)
        done, _ = await asyncio.wait({call}, timeout=0.3)
        assert not done, "what cannot be written is no answer yet"
        postgres.query(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        result = await asyncio.wait_for(call, 30)
        assert result["tokenUsage"]["tokensCharged"] == PRICE["tokens"]
    await found_sound(books, calls=1)


@asynccontextmanager
async def crowd(server: Server, url: str) -> AsyncIterator[None]:
    """Strangers who take every connection, and Tollgate's too as soon as they are free."""
    held: list[Connection] = []
    asyncpg: Any = driver()
    address = {"host": str(server.folder), "user": "tollgate", "database": server.database(url)}
    try:
        async with asyncio.timeout(30):
            held.append(await asyncpg.connect(**address))
            while len(held) < CONNECTIONS:
                try:
                    held.append(await asyncpg.connect(**address))
                except asyncpg.TooManyConnectionsError:
                    await held[0].fetch(CUT)
        yield
    finally:
        await asyncio.gather(*(each.close() for each in held))


async def test_a_database_without_a_free_connection_refuses_calls_until_it_has_one(
    narrow: Server, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    place = Place(await asyncio.to_thread(narrow.fresh), 2, tmp_path)
    await place.grant("tokens", "ada", 100 * PRICE["tokens"])
    vendor.script = spending(is_stream=False)
    with open_for_business(place, vendor, private_key) as server:
        client = Client(server, wide, await asyncio.to_thread(token, server, "ada", "tokens"))
        await client.result("executeAIRequest", PARAMS)
        async with crowd(narrow, place.url):
            await refused(client, vendor)
            assert not await asyncio.to_thread(is_ready, server.url)
        await served(client)
        await eventually(lambda: is_ready(server.url))
    await found_sound(place, calls=2)
