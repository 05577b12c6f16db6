import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.store import Store, open_store
from tests.fakes.postgres import Server, postgres

__all__ = ["postgres"]  # a fixture

BACKENDS = ["sqlite", "postgres"]
"""Every promise of the ledger is tested on each of these."""


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def later(self, seconds: float) -> int:
        """The instant so many seconds from now."""
        return self.now + int(seconds * 1_000_000)

    def forward(self, seconds: float) -> None:
        self.now = self.later(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> AsyncIterator[Store]:
    """A fresh store; whatever a test did, the nine invariants hold afterwards."""
    if request.param == "postgres":
        server: Server = request.getfixturevalue("postgres")
        url = await asyncio.to_thread(server.cleaned)
    else:
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
    async with open_store(url, clock_us=clock) as opened:
        yield opened
        assert [check for check in await opened.verify() if not check.is_ok] == []
