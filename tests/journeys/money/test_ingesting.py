"""Events told over HTTP while the server is killed, again and again: afterwards each is billed once."""

import asyncio
import random
import signal
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving, token
from tests.journeys.money.books import Place, settings_of
from tests.journeys.world import eventually

USERS = ("credits", "tokens", "quota")
"""Each named as the tier that it has."""
CREDITS, TOKENS = 10**15, 10**9
PER_EVENT = {"credits": 5_300_000, "tokens": 54}
"""Nano credits for 53 millionths of a dollar, and 43 tokens with a quarter on top, rounded up; a quota takes nothing."""


def event(number: int, rng: random.Random) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(hours=rng.randrange(0, 48))
    return {
        "event_id": f"evt_{number}",
        "user_id": USERS[number % 3],
        "event_type": "TOKEN_USAGE",
        "provider": "OPENAI",
        "model": "fake",
        "input_tokens": 33,
        "output_tokens": 10,
        "timestamp": at.isoformat(),
    }


async def tell(http: aiohttp.ClientSession, server: Server, shown: str, events: list[dict[str, Any]]) -> Any:
    head = {"authorization": f"Bearer {shown}"}
    async with http.post(f"{server.url}/v1/events/ingest", json={"events": events}, headers=head) as reply:
        return (await reply.json())["results"] if reply.status in (200, 202) else None


async def test_what_was_told_around_kills_is_billed_once_each_when_all_is_told_again(
    place: Place, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # shown when it fails
    rng = random.Random(seed)  # noqa: S311  # no secret
    place = replace(place, workers=1)
    await place.grant("credits", "credits", CREDITS)
    await place.grant("tokens", "tokens", TOKENS)
    settings = settings_of(place, vendor, private_key, default_tier="tester")
    settings["ingestion"] = {"unknown_users": "accept"}
    events = [event(number, rng) for number in range(600)]
    batches = [events[at : at + 20] for at in range(0, 600, 20)]
    verdicts: list[dict[str, str]] = []

    async def send(server: Server, shown: str) -> None:
        order = rng.sample(batches, len(batches))
        for batch in order:
            try:
                verdicts.extend(await tell(wide, server, shown, batch) or [])
            except (aiohttp.ClientError, ConnectionError):
                return

    for kill in (True, True, False):
        with serving(settings, place.folder) as server:
            shown = token(server, "boss", "tester", role="admin")
            await asyncio.gather(*[subscribe(wide, server, shown, user) for user in USERS])
            heard = len(verdicts)
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(send(server, shown))
                if kill:
                    wanted = heard + rng.randrange(20, 400)
                    await eventually(lambda: len(verdicts) >= wanted, seconds=30)  # noqa: B023  # this round's
                    server.tell(signal.SIGKILL)
    accepted = Counter(one["event_id"] for one in verdicts if one["status"] == "accepted")
    assert {one["status"] for one in verdicts} == {"accepted", "duplicate"}
    assert max(accepted.values()) == 1, "nobody hears twice that the same event was new"
    await check(place, events)


async def subscribe(http: aiohttp.ClientSession, server: Server, shown: str, user: str) -> None:
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "updateUserSubscription", "params": {"userId": user, "tier": user}
    }  # fmt: skip
    async with http.post(f"{server.url}/rpc", json=body, headers={"authorization": f"Bearer {shown}"}) as reply:
        assert "result" in await reply.json()


async def check(place: Place, events: list[dict[str, Any]]) -> None:
    """The books say what the events say, to the unit."""
    for user in USERS:
        wanted = {one["event_id"]: one for one in events if one["user_id"] == user}
        rows = await place.rows(user)
        assert Counter(row.request_id for row in rows) == Counter(wanted.keys())
        for row in rows:
            at = datetime.fromisoformat(wanted[row.request_id]["timestamp"])
            assert row.occurred_us == int(at.timestamp()) * 1_000_000 + at.microsecond
            assert (row.usage.input, row.usage.output, row.cost_nano) == (33, 10, 53_000)
    assert (await place.balance("credits", "credits")).posted == CREDITS - 200 * PER_EVENT["credits"]
    assert (await place.balance("tokens", "tokens")).posted == TOKENS - 200 * PER_EVENT["tokens"]
    await place.assert_sound()
