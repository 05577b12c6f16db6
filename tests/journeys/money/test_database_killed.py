"""The short form of the database's death under a serving Tollgate; `make soak` runs the long one."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.postgres import FAST, NoPostgres, Server, running, unavailable
from tests.journeys.money.books import Place
from tests.journeys.money.outages import kill_the_database

DOWN_SECONDS = (0.1, 2.5)
"""Shorter than any wait, and longer than the life of a hold."""


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A database of this test's own."""
    try:
        with running(*FAST) as server:
            yield server
    except NoPostgres as failed:
        unavailable(str(failed))


async def test_a_database_killed_under_calls_and_streams_costs_nobody_anything_wrong(
    mortal: Server, wide: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    place = Place(await asyncio.to_thread(mortal.fresh), 2, tmp_path)
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # shown when it fails
    load = await kill_the_database(mortal, place, wide, private_key, DOWN_SECONDS, seed)
    assert any(said.was_away for said in load.said.values()), "nobody called while it was away"
    assert any(said.result for said in load.said.values())
