"""Two hundred calls at once of eight members on a pool worth fifty: fifty are served, and no member passes the cap."""

import asyncio
from collections import Counter
from typing import Any

import aiohttp

from storage.records.ledger import CREDITS, AccountKey
from storage.store import open_reader
from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, token
from tests.journeys.money.books import PARAMS, PRICE, TENANT, TOKENS, Place, now_us, open_for_business, spending
from tests.journeys.world import Client

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


async def rush(server: Server, http: aiohttp.ClientSession, calls: int) -> list[tuple[str, dict[str, Any]]]:
    """All calls at once, in turns of the members."""
    bearers = {user: await asyncio.to_thread(token, server, user, "tokens") for user in MEMBERS}

    async def one(user: str) -> tuple[str, dict[str, Any]]:
        return user, await Client(server, http, bearers[user]).call("executeAIRequest", PARAMS)

    users = list(MEMBERS)
    return await asyncio.gather(*(one(users[number % len(users)]) for number in range(calls)))


async def test_a_pool_worth_fifty_serves_fifty_and_nobody_past_the_cap(
    place: Place, vendor: FakeProvider, wide: aiohttp.ClientSession, private_key: str
) -> None:
    vendor.script = spending(is_stream=False)
    with open_for_business(place, vendor, private_key) as server:
        await found_the_team(server, wide)
        replies = await rush(server, wide, 200)
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
