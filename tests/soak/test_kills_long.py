"""The long form of the crash test: two hundred kills on each database. Only `make soak` runs it; see the conftest."""

import random

import aiohttp
import pytest

from tests.journeys.money.books import Place
from tests.journeys.money.killing import Both, kill_again_and_again

KILLS = 200


@pytest.mark.timeout(3600)
async def test_two_hundred_kills_lose_no_answer_and_charge_none_twice(
    place: Place, wide: aiohttp.ClientSession, private_key: str
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # shown when it fails
    async with Both() as vendor:
        await kill_again_and_again(place, vendor, wide, private_key, kills=KILLS, seed=seed)
