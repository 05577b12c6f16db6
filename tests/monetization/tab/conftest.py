"""One world a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.monetization.tab.world import Clock, World, world_at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def world(tmp_path: Path, clock: Clock) -> AsyncIterator[World]:
    """Whatever a test did, the books must be sound after it."""
    async with world_at(tmp_path / "tollgate.db", clock) as made:
        yield made
        await made.assert_sound()
