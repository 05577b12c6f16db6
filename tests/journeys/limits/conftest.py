"""Servers with small limits, over memory and over a real Valkey, and a provider that all of them ask."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving
from tests.fakes.valkey import valkey_server
from tests.journeys.world import settings_for

__all__ = ["valkey_server"]

SMALL = {"rpm": 3, "tpm": 100_000, "concurrent": 2}
Start = Callable[..., Server]


TIERS = {
    "small": SMALL,
    "crowd": {**SMALL, "rpm": 5, "concurrent": 50},
    "short": {**SMALL, "max_tokens_per_request": 100},
    "single": {"rpm": 100, "tpm": 1_000_000, "concurrent": 1},
    "pair": {**SMALL, "rpm": 1_000},
}
"""What the tests of the shared server need; each of them has a user of its own."""
SETS = {"byok": {**SMALL, "rpm": 2}, "anonymous": {**SMALL, "rpm": 1}}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def limited(
    shared_fake: FakeProvider, private_key: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """One server for all tests that need no store."""
    settings = settings_for(shared_fake, private_key)
    quota = {"monthly_token_quota": 10**12, "monthly_request_quota": 10**9}
    settings["tiers"].update({name: {**quota, **tier} for name, tier in TIERS.items()})
    settings["limits"] = SETS
    with serving(settings, tmp_path_factory.mktemp("limited")) as running:
        yield running


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as fake:
        yield fake


@pytest_asyncio.fixture
async def wide() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=1)) as session:
        yield session
        await asyncio.sleep(0)


@pytest.fixture
def start(vendor: FakeProvider, private_key: str, tmp_path: Path) -> Iterator[Start]:
    """Starts servers; each has a folder and a database of its own."""
    with ExitStack() as stack:
        count = 0

        def begin(
            *, tier: Mapping[str, object] = SMALL, limits: Mapping[str, object] | None = None, redis_url: str = "",
            **sections: Mapping[str, object],
        ) -> Server:  # fmt: skip
            nonlocal count
            count += 1
            folder = tmp_path / f"server-{count}"
            folder.mkdir()
            settings: dict[str, Any] = settings_for(vendor, private_key)
            settings["tiers"]["tester"].update(tier)
            # A busy machine may take its time; how little a call waits is measured where the limiter is tested.
            settings["limits"].update({"store_timeout_ms": 1_000, **(limits or {})})
            settings["storage"] = {"url": f"sqlite:///{folder / 'tollgate.db'}", "redis_url": redis_url}
            for name, section in sections.items():
                settings[name] = {**settings.get(name, {}), **section}
            return stack.enter_context(serving(settings, folder))

        yield begin
