"""Several workers on PostgreSQL are one server: the same books and metrics, and they leave as one process does."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from server.serving import STARTED_FILES
from tests.fakes.postgres import FAST, NoPostgres, postgres, unavailable
from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import running as running_postgres
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import Server, is_ready, serving, token
from tests.fakes.wires import TEXT
from tests.journeys.world import Client, eventually, messages_of, settings_for, text_of, until

__all__ = ["postgres"]  # a fixture

CALLS = 40
STREAM = {"content": "Hi", "stream": True, "options": {"model": "fake"}}


@pytest_asyncio.fixture(loop_scope="session")
async def running(postgres: Postgres, fake: FakeProvider, private_key: str, tmp_path: Path) -> AsyncIterator[Server]:
    settings = settings_for(fake, private_key)
    settings["storage"] = {"url": await asyncio.to_thread(postgres.fresh)}
    settings["server"] |= {"workers": 2, "public_url": ""}
    with serving(settings, tmp_path) as server:
        yield server


async def open_stream(client: Client, number: int) -> aiohttp.ClientResponse:
    body = {"jsonrpc": "2.0", "id": number, "method": "executeAIRequest", "params": STREAM}
    # A connection of its own for each, so that both workers get some.
    head = client.head(accept="text/event-stream", connection="close")
    return await client.http.post(f"{client.server.url}/rpc", json=body, headers=head)


async def drained(reply: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    return [message async for message in messages_of(reply)]


def ids_logged(server: Server) -> set[str]:
    return {line["request_id"] for line in server.lines() if line.get("event") == "call"}


async def test_workers_share_books_metrics_and_address_and_finish_their_streams_when_told_to_leave(
    running: Server, http: aiohttp.ClientSession, fake: FakeProvider
) -> None:
    def caller() -> Client:
        return Client(running, http, alices, headers={"connection": "close"})

    alices, ask = token(running, "alice", "tester"), ("executeAIRequest", {"content": "Hi"})
    client = caller()
    answers = await asyncio.gather(*(caller().result(*ask) for _ in range(CALLS)))
    used = [answer["usage"]["totalTokens"] for answer in answers]
    last = await client.result(*ask)
    assert last["quotaRemaining"] == 10**15 - sum(used) - last["usage"]["totalTokens"]

    async def are_counted() -> bool:  # what the other workers counted is up to a second old
        async with http.get(f"{running.url}/metrics") as reply:
            counted = [line for line in (await reply.text()).splitlines() if line.startswith("tollgate_calls_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in counted) == CALLS + 1

    await until(are_counted, seconds=30)
    async with http.get(f"{running.url}/openrpc.json") as reply:
        assert (await reply.json())["servers"][0]["url"] == f"{running.url}/rpc"
    await eventually(lambda: len(ids_logged(running)) == CALLS + 1)

    fake.script = Script(gap=0.15)
    streams = await asyncio.gather(*(open_stream(client, number) for number in range(6)))
    running.tell(signal.SIGTERM)
    while await asyncio.to_thread(is_ready, running.url):
        pass
    for messages in await asyncio.gather(*map(drained, streams)):
        assert messages[-1]["result"]["content"] == text_of(messages) == TEXT
    assert await asyncio.to_thread(running.process.wait, 30) == 0
    assert len(ids_logged(running)) == CALLS + 7


@pytest.fixture
def mortal() -> Iterator[Postgres]:
    """A database of one test's own."""
    try:
        with running_postgres(*FAST) as server:
            yield server
    except NoPostgres as failed:
        unavailable(str(failed))


def workers_of(server: Server) -> set[int]:
    """The processes that serve."""
    below = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return {int(each) for each in below if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()}


async def test_a_worker_that_dies_while_the_database_is_away_leaves_the_others_serving_and_comes_back_by_itself(
    mortal: Postgres, http: aiohttp.ClientSession, fake: FakeProvider, private_key: str, tmp_path: Path
) -> None:
    settings = settings_for(fake, private_key)
    settings["storage"] = {"url": await asyncio.to_thread(mortal.fresh)}
    settings["server"] |= {"workers": 2}
    with serving(settings, tmp_path, environment={"TMPDIR": str(tmp_path)}) as server:
        client = Client(server, http, token(server, "alice", "tester"), headers={"connection": "close"})
        await eventually(lambda: len([*tmp_path.glob(f"*/{STARTED_FILES.format('*')}")]) == 2)
        await asyncio.to_thread(mortal.kill)
        first = workers_of(server)
        dead = min(first)
        os.kill(dead, signal.SIGKILL)
        await eventually(lambda: b"cannot start and is tried again" in server.log.read_bytes())
        assert (await client.call("ping", token=""))["result"] is not None
        await asyncio.to_thread(mortal.restart)
        await eventually(lambda: sum(line.get("event") == "started" for line in server.lines()) == 3)
        assert len(workers_of(server)) == 2
        assert first - {dead} < workers_of(server), "who served on is still there"
        await client.result("executeAIRequest", {"content": "Hi"})
        server.tell(signal.SIGTERM)
        assert await asyncio.to_thread(server.process.wait, 30) == 0
