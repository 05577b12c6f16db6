"""`kill -9` of a server at random instants under load, again and again on the same books; what must hold afterwards."""

import asyncio
import json
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from storage.store import open_reader, open_store
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.fakes.server import Server, token
from tests.journeys.money.books import (
    ASSETS,
    PARAMS,
    PRICE,
    Place,
    account,
    now_us,
    open_for_business,
    rows_of,
    spending,
)
from tests.journeys.world import Client, eventually

HOLD_SECONDS = 2
SWEEP_SECONDS = 40
"""More than the server's own second between two sweeps, on a busy machine."""
GRANTED = 10**12
CALLERS = 12


class Both(FakeProvider):
    """Says what was held as the usage, streamed or not, after a moment, so that kills meet calls in every state."""

    def __init__(self) -> None:
        super().__init__()
        self._plain = spending(is_stream=False, delay=0.02)
        self._stream = spending(is_stream=True, delay=0.02)

    def script_for(self, model: str, body: bytes = b"") -> Script:
        del model
        return self._stream if b'"stream":true' in body else self._plain


class Load:
    """Callers that call until the server is gone, and remember every answer that arrived whole."""

    def __init__(self, place: Place, vendor: FakeProvider, http: aiohttp.ClientSession, dice: random.Random) -> None:
        self.place = place
        self.vendor = vendor
        self.http = http
        self.dice = dice
        self.answers: dict[str, dict[str, Any]] = {}
        """Idempotency key → result."""
        self.tokens: dict[str, str] = {}
        self.number = 0

    async def until_killed(self, server: Server, seconds: float) -> None:
        """One life of the server."""
        before = len(self.answers)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(
                    self._caller(server, "tokens" if number % 2 else "credits", is_stream=number % 3 == 0)
                )
            await asyncio.sleep(seconds)
            if len(self.answers) == before:  # a kill before the first answer shows nothing; a busy machine answers late
                await eventually(lambda: len(self.answers) > before)
                await asyncio.sleep(seconds / 10)
            kill(server)

    async def _caller(self, server: Server, tier: str, *, is_stream: bool) -> None:
        while True:
            self.number += 1
            key = f"key-{self.number}"
            client = Client(server, self.http, self.tokens[tier], headers={"idempotency-key": key})
            try:
                said = await ask(client, is_stream=is_stream)
            except (aiohttp.ClientError, ConnectionError, AssertionError, json.JSONDecodeError, IndexError):
                return
            if "result" in said:
                self.answers[key] = {"tier": tier, "is_stream": is_stream, **said["result"]}
            elif "error" in said:
                raise AssertionError(said)
            else:
                return  # a stream that was cut before its answer

    async def repeat(self, server: Server) -> None:
        """Some of the keys that were answered before the kill give the same answer, without the provider."""
        before = len(self.vendor.seen)
        for key in self.dice.sample(sorted(self.answers), min(3, len(self.answers))):
            first = self.answers[key]
            client = Client(server, self.http, self.tokens[first["tier"]], headers={"idempotency-key": key})
            again = await ask(client, is_stream=first["is_stream"])
            assert first == {"tier": first["tier"], "is_stream": first["is_stream"], **again["result"]}
        assert len(self.vendor.seen) == before

    async def assert_charged_once(self) -> None:
        """Every answer that arrived has one row, no row is there twice, and the balance is what the rows say."""
        async with open_reader(self.place.url, clock_us=now_us) as reader:
            for tier, asset in ASSETS.items():
                rows = await rows_of(reader, f"ada-{tier}")
                counted = Counter(row.request_id for row in rows)
                mine = {a["requestId"] for a in self.answers.values() if a["tier"] == tier}
                assert {request: counted[request] for request in mine} == dict.fromkeys(mine, 1)
                assert set(counted.values()) <= {1}
                assert {row.charge_amount for row in rows if row.request_id in mine} <= {PRICE[tier]}
                balance = await reader.balance(account(tier, f"ada-{tier}"))
                paid = sum(row.charge_amount or 0 for row in rows)
                assert (GRANTED - balance.posted, balance.held, asset) == (paid, 0, asset)


def kill(server: Server) -> None:
    """End the server and its workers at once."""
    for child in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    server.tell(signal.SIGKILL)


async def ask(client: Client, *, is_stream: bool) -> dict[str, Any]:
    """The last message of one call."""
    return (await client.stream(PARAMS))[-1] if is_stream else await client.call("executeAIRequest", PARAMS)


async def open_holds(place: Place) -> list[int]:
    """When each open hold expires."""
    async with open_reader(place.url, clock_us=now_us) as reader:
        found = [await reader.holds(account(tier, f"ada-{tier}")) for tier in ASSETS]
    return [hold.expires_us for holds in found for hold in holds]


async def kill_again_and_again(
    place: Place, vendor: FakeProvider, http: aiohttp.ClientSession, private_key: str, *, kills: int, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311  # no secret
    load = Load(place, vendor, http, dice)
    for tier in ASSETS:
        await place.grant(tier, f"ada-{tier}", GRANTED)
    for _ in range(kills):
        with open_for_business(place, vendor, private_key, hold_seconds=HOLD_SECONDS) as server:
            if not load.tokens:
                load.tokens = {tier: await asyncio.to_thread(token, server, f"ada-{tier}", tier) for tier in ASSETS}
            await load.repeat(server)
            await load.until_killed(server, dice.uniform(0.02, 0.6))
        assert load.answers or kills > 1
    with open_for_business(place, vendor, private_key, hold_seconds=HOLD_SECONDS):
        async with asyncio.timeout(HOLD_SECONDS + SWEEP_SECONDS):
            while await open_holds(place):  # noqa: ASYNC110  # another process ends them
                await asyncio.sleep(0.1)
    await load.assert_charged_once()
    async with open_store(place.url, clock_us=now_us) as store:
        assert [check for check in await store.verify() if not check.is_ok] == []
    assert len(load.answers) >= kills, "the load was too light to show anything"
