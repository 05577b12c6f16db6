"""The long form of the database's death under a serving Tollgate: fifty kills, outages longer than any caller waits, hanging."""

import asyncio
import random
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.postgres import running
from tests.journeys.money.books import Place
from tests.journeys.money.outages import Death, kill_the_database

KILLS = 50
LONG_SECONDS = 14.0
"""Longer than the patience of a call that ends: what was delivered is charged all the same."""

HANGING_SECONDS = 60.0
"""Where nobody answers, each attempt to write takes its time: ten seconds for the first, three to connect for the next ones."""


@pytest.mark.timeout(3600)
async def test_fifty_deaths_of_the_database_under_load_cost_nobody_anything_wrong(
    wide: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # shown when it fails
    dice = random.Random(seed)  # noqa: S311  # no secret
    downs = [LONG_SECONDS if number % 10 == 5 else dice.uniform(0.05, 4) for number in range(KILLS)]
    with running() as mortal:
        place = Place(await asyncio.to_thread(mortal.fresh), 4, tmp_path)
        load = await kill_the_database(mortal, place, wide, private_key, downs, seed)
    assert sum(said.was_away for said in load.said.values()) > KILLS
    assert sum(said.result is not None for said in load.said.values()) > KILLS
    owed = [said for said in load.said.values() if said.text and said.error]
    assert owed, "no stream was cut from its end by an outage"


@pytest.mark.timeout(600)
async def test_a_database_that_hangs_under_load_costs_nobody_anything_wrong(
    wide: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    with running() as mute:
        place = Place(await asyncio.to_thread(mute.fresh), 4, tmp_path)
        death = Death(mute.freeze, mute.thaw, HANGING_SECONDS, HANGING_SECONDS / 2)
        load = await kill_the_database(mute, place, wide, private_key, (1.0, 6.0, 25.0, 0.5), 5, death)
    assert any(said.was_away for said in load.said.values())
    assert any(said.result for said in load.said.values())
