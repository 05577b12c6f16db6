"""Every method and every path that can reach a provider holds the call's price first. New ones are found by themselves."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from server.app import create_app
from server.config import Settings
from server.drain import Drain
from server.vendors.tables import SURFACES
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import Server, token
from tests.journeys.money.books import Place, open_for_business, settings_of
from tests.journeys.world import Client, eventually

KEY_CHECK = "validateProvider"
"""Asks the vendor for its list of models with the caller's key: it spends nothing, so it needs no hold."""
CHAT = {"model": "fake", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
BODIES: dict[str, Any] = {
    "openai and anthropic": CHAT,
    "responses": {"model": "fake", "max_output_tokens": 10, "input": "Hi"},
    "embeddings": {"model": "fake", "input": "Hi"},
    "gemini": {"contents": [{"parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 10}},
    "rpc": {"jsonrpc": "2.0", "id": 1, "method": "executeAIRequest", "params": {"content": "Hi"}},
    "stream": {"jsonrpc": "2.0", "id": 1, "method": "executeAIRequest", "params": {"content": "Hi", "stream": True}},
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(f"sqlite:///{tmp_path / 'tollgate.db'}", 1, tmp_path)


class Spy:
    """Asks something and, if that reaches the vendor, looks into the books while the vendor still waits."""

    def __init__(self, server: Server, vendor: FakeProvider) -> None:
        self.server = server
        self.vendor = vendor
        vendor.script = Script(delay=0.15)

    async def holds_when_asked(self, asking: Any) -> int | None:
        """Open holds at the instant the vendor was asked. None: it was not."""
        await eventually(lambda: self._holds() == 0)
        self.vendor.arrived.clear()
        call = asyncio.ensure_future(asking)
        arrived = asyncio.ensure_future(self.vendor.arrived.wait())
        await asyncio.wait({call, arrived}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        was_asked = self.vendor.arrived.is_set()
        holds = self._holds() if was_asked else None
        arrived.cancel()
        await asyncio.wait_for(call, 30)
        return holds

    def _holds(self) -> int:
        found: int = self.server.rows("SELECT count(*) AS n FROM hold")[0]["n"]
        return found


@pytest_asyncio.fixture
async def server(place: Place, vendor: FakeProvider, private_key: str) -> Any:
    await place.grant("tokens", "ada", 10**9)
    with open_for_business(place, vendor, private_key) as running:
        yield running


def examples_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every method's own examples as parameters, and each of them with an own key and as a stream."""
    for method in document["methods"]:
        for example in method.get("examples", [{}]) or [{}]:
            params = {each["name"]: each["value"] for each in example.get("params", [])}
            yield method["name"], params
            if method["name"] in ("executeAIRequest", "ai.generateText", "generateText"):
                yield method["name"], {"content": "Hi", "apiKey": "own"}
                yield method["name"], {"content": "Hi", "stream": True}
        if method["name"] == KEY_CHECK:
            yield KEY_CHECK, {"provider": "openai", "apiKey": "own"}


async def test_every_method_that_reaches_a_provider_holds_first(
    server: Server, vendor: FakeProvider, wide: aiohttp.ClientSession
) -> None:
    client = Client(server, wide, await asyncio.to_thread(token, server, "ada", "tokens"))
    document = await client.result("rpc.discover")
    spy = Spy(server, vendor)
    asked: dict[str, set[int]] = {}
    for name, params in examples_of(document):
        holds = await spy.holds_when_asked(client.call(name, params))
        if holds is not None:
            asked.setdefault(name, set()).add(holds)
    assert asked.pop(KEY_CHECK) == {0}
    assert "executeAIRequest" in asked
    assert {name: holds for name, holds in asked.items() if holds != {1}} == {}


async def test_every_path_that_reaches_a_provider_holds_first(
    place: Place, server: Server, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str
) -> None:
    bearer = await asyncio.to_thread(token, server, "ada", "tokens")
    app: Any = create_app(Settings.model_validate(settings_of(place, vendor, private_key)), Drain())
    found = set(app._direct)
    while not hasattr(app, "routes"):  # what is wrapped around the routes
        app = app._app
    of_vendors = {
        prefix + endpoint.template.replace("{model}", "fake") + ("?alt=sse" if endpoint.stream else "")
        for name, surface in SURFACES.items()
        for endpoint in surface.endpoints
        for prefix in ("", f"/{name}")
    }
    paths = {re.sub(r"\{[^}]*\}", "fake", path) for path in found | of_vendors | {route.path for route in app.routes}}
    assert "/rpc" in paths
    spy = Spy(server, vendor)
    reached: dict[str, set[int]] = {}

    async def post(path: str, body: Any) -> None:
        head = {"authorization": f"Bearer {bearer}", "accept": "application/json, text/event-stream"}
        async with wide.post(f"{server.url}{path}", json=body, headers=head) as reply:
            await reply.read()

    for path in sorted(paths):
        for body in BODIES.values():
            holds = await spy.holds_when_asked(post(path, body))
            if holds is not None:
                reached.setdefault(path, set()).add(holds)
    assert "/rpc" in reached
    chats = {path for path in of_vendors if re.search(r"completions|messages$|[gG]enerateContent", path)}
    assert chats <= reached.keys()
    assert {path: holds for path, holds in reached.items() if holds != {1}} == {}


async def test_a_call_on_a_socket_holds_first(
    server: Server, vendor: FakeProvider, wide: aiohttp.ClientSession
) -> None:
    bearer = await asyncio.to_thread(token, server, "ada", "tokens")
    spy = Spy(server, vendor)
    url = server.url.replace("http", "ws") + "/rpc"
    async with wide.ws_connect(url, headers={"authorization": f"Bearer {bearer}"}) as socket:

        async def ask(body: Any) -> None:
            await socket.send_json(body)
            while "id" not in await socket.receive_json(timeout=30):
                pass

        for body in (BODIES["rpc"], BODIES["stream"]):
            assert await spy.holds_when_asked(ask(body)) == 1
