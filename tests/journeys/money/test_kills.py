"""The short form of the crash test; `make soak` runs the long one."""

import random

import aiohttp

from tests.journeys.money.books import Place
from tests.journeys.money.killing import Both, kill_again_and_again


async def test_a_server_killed_at_any_instant_charges_every_answer_once(
    place: Place, wide: aiohttp.ClientSession, private_key: str
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # shown when it fails
    async with Both() as vendor:
        await kill_again_and_again(place, vendor, wide, private_key, kills=3, seed=seed)
