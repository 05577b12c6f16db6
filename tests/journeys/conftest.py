"""One provider, one server and one client for the whole folder; tests that break a server start their own."""

import asyncio
from collections.abc import AsyncIterator
from inspect import iscoroutinefunction
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving, token
from tests.journeys.world import Client, settings_for

HERE = Path(__file__).parent
SESSION = pytest.mark.asyncio(loop_scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All journeys run on one loop, the one that the provider lives on."""
    for item in items:
        if item.path.parent == HERE and isinstance(item, pytest.Function) and iscoroutinefunction(item.obj):
            item.add_marker(SESSION, append=False)


@pytest.fixture(scope="session")
def private_key() -> str:
    return ECKey.generate_key("P-256").as_pem(private=True).decode()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as fake:
        yield fake


@pytest_asyncio.fixture(loop_scope="session")
async def fake(shared_fake: FakeProvider) -> AsyncIterator[FakeProvider]:
    """The provider as it was at the start: it has seen nothing and behaves."""
    shared_fake.seen.clear()
    shared_fake.scripts.clear()
    shared_fake.arrived.clear()
    shared_fake.script = None
    yield shared_fake
    shared_fake.script = None
    shared_fake.scripts.clear()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(
    shared_fake: FakeProvider, private_key: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    prompts = folder / "prompts"
    prompts.mkdir()
    settings = {**settings_for(shared_fake, private_key), "prompts": {"directory": str(prompts)}}
    settings["server"]["cors_origins"] = ["https://app.example.com"]
    with serving(settings, folder) as running:
        yield running


@pytest.fixture(scope="session")
def alices(server: Server) -> str:
    return token(server, "alice", "tester")


@pytest.fixture(scope="session")
def bobs(server: Server) -> str:
    return token(server, "bob", "tester")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=1)) as session:
        yield session
        await asyncio.sleep(0)


@pytest.fixture
def client(server: Server, http: aiohttp.ClientSession, alices: str, fake: FakeProvider) -> Client:
    return Client(server, http, alices)
