"""A vendor, books on every database, and connections enough for two hundred callers at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import postgres
from tests.fakes.provider import FakeProvider
from tests.journeys.money.books import Place

__all__ = ["postgres"]  # a fixture


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as fake:
        yield fake


@pytest_asyncio.fixture
async def wide() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=1)) as session:
        yield session
        await asyncio.sleep(0)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """One process on SQLite, four on PostgreSQL."""
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path / 'tollgate.db'}", 1, tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return Place(server.fresh(), 4, tmp_path)
