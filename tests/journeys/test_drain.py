"""Leaving: readiness fails first, what runs finishes, a second signal does not wait."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import Server, is_ready, serving, token
from tests.fakes.wires import TEXT
from tests.journeys.world import Client, messages_of, settings_for, text_of, usage_rows

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


async def ended(server: Server, seconds: float) -> int:
    return await asyncio.to_thread(server.process.wait, seconds)


async def opened(client: Client, model: str = "fake", provider: str = "openai") -> aiohttp.ClientResponse:
    params = {"content": "Hi", "stream": True, "options": {"provider": provider, "model": model}}
    body = {"jsonrpc": "2.0", "id": "d", "method": "executeAIRequest", "params": params}
    head = client.head(**{"x-request-id": "drained", "accept": "text/event-stream"})
    return await client.http.post(f"{client.server.url}/rpc", json=body, headers=head)


async def test_a_running_stream_finishes_while_new_calls_are_sent_elsewhere(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    settings = settings_for(fake, private_key)
    settings["server"]["drain_seconds"] = 60
    with serving(settings, tmp_path) as running:
        client = Client(running, http, token(running, "alice", "tester"))
        enough = asyncio.Event()
        fake.script = Script(waits=enough)
        reply = await opened(client, provider="patient")
        messages: list[dict[str, Any]] = []
        async for message in messages_of(reply):
            messages.append(message)
            if len(messages) == 2:
                running.tell(signal.SIGTERM)
                while await asyncio.to_thread(is_ready, running.url):
                    pass
                async with http.post(
                    f"{running.url}/rpc", data=PING, headers={"content-type": "application/json"}
                ) as refused:
                    assert refused.status == 503
                    assert int(refused.headers["retry-after"]) > 0
                async with http.get(f"{running.url}/readyz") as ready:
                    assert ready.status == 503
                async with http.get(f"{running.url}/livez") as live:
                    assert live.status == 200
                enough.set()
        assert messages[-1]["result"]["content"] == text_of(messages) == TEXT
        assert await ended(running, 30) == 0
        [row] = usage_rows(running, "drained")
        assert row["outcome"] == "done"


async def test_a_stream_that_outlasts_the_deadline_is_ended_and_written_down(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    settings = settings_for(fake, private_key)
    settings["server"]["drain_seconds"] = 0.5
    with serving(settings, tmp_path) as running:
        client = Client(running, http, token(running, "alice", "tester"))
        reply = await opened(client, "fake-endless")
        async for _ in messages_of(reply):
            break
        running.tell(signal.SIGTERM)
        assert await ended(running, 30) == 0
        reply.close()
        [row] = usage_rows(running, "drained")
        assert (row["outcome"], row["is_partial"]) == ("partial", 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path, number: signal.Signals
) -> None:
    settings = settings_for(fake, private_key)
    settings["server"]["drain_seconds"] = 60
    with serving(settings, tmp_path) as running:
        client = Client(running, http, token(running, "alice", "tester"))
        reply = await opened(client, "fake-endless")
        async for _ in messages_of(reply):
            break
        running.tell(number)
        while await asyncio.to_thread(is_ready, running.url):
            pass
        began = time.monotonic()
        running.tell(number)
        await ended(running, 50)
        assert time.monotonic() - began < 30, "it waited for its 60 seconds"
        reply.close()


async def test_an_idle_socket_is_told_to_go(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    with serving(settings_for(fake, private_key), tmp_path) as running:
        client = Client(running, http, token(running, "alice", "tester"))
        reply = await opened(client, "fake-hanging", "patient")
        async with http.ws_connect(running.url.replace("http", "ws") + "/rpc", headers=client.head()) as socket:
            running.tell(signal.SIGTERM)
            message = await socket.receive(timeout=30)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1012)
        reply.close()
        assert await ended(running, 30) == 0
