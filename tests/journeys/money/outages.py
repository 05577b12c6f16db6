"""`kill -9` of the database under a serving Tollgate, again and again: what callers are told, and what holds afterwards."""

import asyncio
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from storage.records.usage import UsageRow
from storage.store import open_reader
from tests.fakes.postgres import Server as Postgres
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import ROOT, TOLLGATE, Server, is_ready, token
from tests.journeys.money.books import ASSETS, Place, account, now_us, open_for_business, rows_of
from tests.journeys.money.killing import GRANTED, HOLD_SECONDS, SWEEP_SECONDS, open_holds
from tests.journeys.world import Client, eventually, text_of

CALLERS = 12
REFUSED_SECONDS = 9.0
"""A call that comes while the database is away is refused within this, and not after ten seconds of patience."""
ANSWERED_SECONDS = 40.0
"""A call that runs when the database goes ends within this: ten seconds of patience, and the stream before it."""
RECOVERY_SECONDS = 40.0
MOVING = Script(delay=0.01, gap=0.04)
"""A stream takes long enough to be met by kills."""


@dataclass
class Said:
    """What one caller was told."""

    tier: str
    is_stream: bool
    was_away: bool
    """The database was away from before the call until after it."""
    seconds: float = 0.0
    text: str = ""
    """What was delivered of a stream."""
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


@dataclass
class Load:
    """Callers that call on through every outage, each call under an id of its own that the books and the vendor see too."""

    server: Server
    http: aiohttp.ClientSession
    tokens: Mapping[str, str]
    said: dict[str, Said] = field(default_factory=dict)
    ends: asyncio.Event = field(default_factory=asyncio.Event)
    is_away: bool = False
    outages: int = 0
    number: int = 0

    async def caller(self, tier: str, *, is_stream: bool) -> None:
        """Call until told to stop."""
        while not self.ends.is_set():
            said = await self.call(tier, is_stream=is_stream)
            if said.error is not None:
                await asyncio.sleep(0.02)  # as a polite client does

    async def call(self, tier: str, *, is_stream: bool) -> Said:
        """One call, remembered."""
        self.number += 1
        name = f"call-{self.number:06}"
        client = Client(self.server, self.http, self.tokens[tier], headers={"x-request-id": name})
        params = {"content": name, "options": {"maxTokens": 10}}
        began, outage = time.monotonic(), self.outages
        said = self.said[name] = Said(tier, is_stream, self.is_away)
        messages = await client.stream(params) if is_stream else [await client.call("executeAIRequest", params)]
        said.seconds = time.monotonic() - began
        said.was_away &= self.is_away and outage == self.outages
        said.text, said.result, said.error = text_of(messages), messages[-1].get("result"), messages[-1].get("error")
        return said

    async def until_served(self) -> None:
        """Return once a call succeeds."""
        async with asyncio.timeout(RECOVERY_SECONDS):
            while (await self.call("tokens", is_stream=False)).error is not None:  # noqa: ASYNC110  # a restart is no event
                await asyncio.sleep(0.05)


def assert_told_clearly(load: Load, death: "Death") -> None:
    """Whoever got no answer heard why, soon, and that it may be tried again; nobody saw a mistake of ours."""
    for said in load.said.values():
        assert (said.result is None) != (said.error is None), said
        assert said.seconds < death.answered_seconds, said
        if said.error is not None:
            assert (said.error["code"], said.error["data"]["reason"]) == (-32010, "storage_unavailable"), said
        if said.was_away:
            assert said.error is not None, said
            assert said.seconds < death.refused_seconds, said


def assert_charged_once(load: Load, rows: Sequence[UsageRow]) -> None:
    """An answer has one row and its charge; so has a part of a stream that was delivered; nothing else costs anything."""
    counted = Counter(row.request_id for row in rows)
    charged = {row.request_id: row.charge_amount or 0 for row in rows}
    assert set(counted.values()) <= {1}
    for name, said in load.said.items():
        if said.result is not None:
            assert charged.get(name, 0) > 0, (name, said)
            if said.tier == "tokens":
                assert said.result["tokenUsage"]["tokensCharged"] == charged[name], (name, said)
        elif said.text:
            assert charged.get(name, 0) > 0, (name, said)


def assert_held_before_asked(place_rows: Sequence[str], vendor: FakeProvider) -> None:
    """Every call that the vendor saw has its hold in the books."""
    asked = {orjson.loads(seen.body)["messages"][-1]["content"] for seen in vendor.seen}
    assert asked <= set(place_rows), asked - set(place_rows)


async def books_of(place: Place) -> list[UsageRow]:
    """All rows, when every account has been found to be what its rows say."""
    everything: list[UsageRow] = []
    async with open_reader(place.url, clock_us=now_us) as reader:
        for tier in ASSETS:
            rows = await rows_of(reader, f"ada-{tier}")
            balance = await reader.balance(account(tier, f"ada-{tier}"))
            assert (GRANTED - balance.posted, balance.held) == (sum(row.charge_amount or 0 for row in rows), 0)
            everything += rows
    return everything


@dataclass(frozen=True)
class Death:
    """How the database goes away and comes back."""

    go: Callable[[], None]
    come: Callable[[], None]
    answered_seconds: float = ANSWERED_SECONDS
    refused_seconds: float = REFUSED_SECONDS


async def kill_the_database(
    postgres: Postgres,
    place: Place,
    http: aiohttp.ClientSession,
    private_key: str,
    downs: Sequence[float],
    seed: int,
    death: Death | None = None,
) -> Load:
    """Kill it once for each of `downs`, which says for how many seconds it stays away."""
    death = death or Death(postgres.kill, postgres.restart)
    dice = random.Random(seed)  # noqa: S311  # no secret
    for tier in ASSETS:
        await place.grant(tier, f"ada-{tier}", GRANTED)
    async with FakeProvider() as vendor:
        vendor.script = MOVING
        with open_for_business(place, vendor, private_key, hold_seconds=HOLD_SECONDS) as server:
            tokens = {tier: await asyncio.to_thread(token, server, f"ada-{tier}", tier) for tier in ASSETS}
            load = Load(server, http, tokens)
            async with asyncio.TaskGroup() as group:
                for number in range(CALLERS):
                    group.create_task(load.caller("tokens" if number % 2 else "credits", is_stream=number % 3 != 0))
                for seconds in downs:
                    await load.until_served()
                    await asyncio.sleep(dice.uniform(0.1, 0.6))
                    await _outage(death, load, seconds)
                await load.until_served()
                load.ends.set()
            async with asyncio.timeout(HOLD_SECONDS + SWEEP_SECONDS):
                while await open_holds(place):  # noqa: ASYNC110  # another process ends them
                    await asyncio.sleep(0.1)
            await eventually(lambda: is_ready(server.url))
        assert_told_clearly(load, death)
        assert_charged_once(load, await books_of(place))
        refs = postgres.query("SELECT ref FROM transfer WHERE kind=1", postgres.database(place.url))
        assert_held_before_asked([ref for (ref,) in refs], vendor)
        assert server.config is not None
        verify = [*TOLLGATE, "verify", "--config", str(server.config)]
        done = await asyncio.to_thread(subprocess.run, verify, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    return load


async def _outage(death: Death, load: Load, seconds: float) -> None:
    await asyncio.to_thread(death.go)
    load.is_away = True
    await asyncio.gather(asyncio.sleep(seconds), load.call("tokens", is_stream=False))  # all others may be waiting
    load.is_away = False
    load.outages += 1
    await asyncio.to_thread(death.come)
