"""Several workers on PostgreSQL are one server: the same books and metrics, and they leave as one process does."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import postgres
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
