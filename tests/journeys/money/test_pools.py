"""Two hundred calls at once of eight members on a pool worth fifty: fifty are served, and no member passes the cap."""

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import pytest

from storage.records.ledger import CREDITS, AccountKey
from storage.store import open_reader
from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving, token
from tests.fakes.valkey import Valkey, valkey_server
from tests.journeys.money.books import PRICE, TENANT, TOKENS, Place, now_us, settings_of, spending
from tests.journeys.money.test_races import outcome
from tests.journeys.world import Client

__all__ = ["valkey_server"]

WORTH = 50
MEMBERS = {f"member-{number}": cap for number, cap in enumerate((3, 5, 10, 10, 10, 10, 10, 10))}
"""Each with as many calls as the cap lets through: 68 together, more than the pool is worth."""


async def found_the_team(server: Server, http: aiohttp.ClientSession) -> None:
    """An organization whose pool is worth fifty calls, and members with caps."""
    boss = Client(server, http, await asyncio.to_thread(token, server, "boss", "tokens", role="admin"))
    await boss.result("createOrganization", {"organizationId": "blue", "name": "Blue", "pays": "pool"})
    amount = WORTH * PRICE["tokens"]
    await boss.result("grantTokens", {"userId": "boss", "tokens": amount, "kind": "promotion"})
    order = {"from": {"userId": "boss"}, "to": {"organizationId": "blue"}, "amount": amount, "reason": "pool"}
    await boss.result("transferBalance", order)
    for user, cap in MEMBERS.items():
        caps = {"monthlyTokens": cap * TOKENS + TOKENS - 1, "monthlyRequests": 100}
        await boss.result("addMember", {"organizationId": "blue", "userId": user, "caps": caps})


async def rush(
    server: Server, http: aiohttp.ClientSession, calls: int, *, is_stream: bool
) -> list[tuple[str, dict[str, Any]]]:
    """All calls at once, in turns of the members."""
    bearers = {user: await asyncio.to_thread(token, server, user, "tokens") for user in MEMBERS}

    async def one(user: str) -> tuple[str, dict[str, Any]]:
        return user, await outcome(Client(server, http, bearers[user]), is_stream=is_stream)

    users = list(MEMBERS)
    return await asyncio.gather(*(one(users[number % len(users)]) for number in range(calls)))


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streams"])
async def test_a_pool_worth_fifty_serves_fifty_and_nobody_past_the_cap(
    place: Place,
    vendor: FakeProvider,
    wide: aiohttp.ClientSession,
    private_key: str,
    valkey_server: Valkey,
    *,
    is_stream: bool,
) -> None:
    vendor.script = spending(is_stream=is_stream)
    valkey_server.flush()
    settings = settings_of(place, vendor, private_key)
    settings["storage"]["redis_url"] = valkey_server.url
    settings["limits"] = {"store_timeout_ms": 1_000}  # two hundred calls at once on a busy machine
    with serving(settings, place.folder) as server:
        await found_the_team(server, wide)
        replies = await rush(server, wide, 200, is_stream=is_stream)
    if not [line for line in server.lines() if line.get("event") == "limit_store_is_down"]:
        # An answer of the store that a busy machine gives after a second is not waited for: that call is admitted without it.
        with valkey_server.client() as client:
            admitted = sum(int(client.hget(key, "r") or 0) for key in client.scan_iter("*:w"))
            assert admitted == WORTH, "the limits saw every call, and those that the money refused use up nothing"
            assert not list(client.scan_iter("*:s")), "every slot has come back"
    served = Counter(user for user, reply in replies if "result" in reply)
    codes = Counter(reply.get("error", {}).get("code", "served") for _, reply in replies)
    assert codes["served"] == WORTH == len(vendor.seen)
    assert set(codes) == {"served", -32001, -32003}, "some were past their cap, some found the pool empty"
    assert all(served[user] <= cap for user, cap in MEMBERS.items()), served
    async with open_reader(place.url, clock_us=now_us) as reader:
        left = await reader.balance(AccountKey(TENANT, "org", "blue", CREDITS, "TOKEN"))
        for user in MEMBERS:
            counted = {view.key.resource: view[1:3] for view in await reader.windows(TENANT, f"member:blue/{user}")}
            assert counted == {"tokens": (served[user] * TOKENS, 0), "requests": (served[user], 0)}
    assert (left.posted, left.held) == (0, 0)
    await place.assert_sound()
