"""Blocks over sockets and on two workers: who guesses is refused everywhere within a second, and nobody else is."""

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.pace import within
from tests.fakes.postgres import Server as Postgres
from tests.fakes.postgres import postgres
from tests.fakes.provider import FakeProvider
from tests.fakes.server import Server, serving, token
from tests.journeys.world import Client, settings_for, until

__all__ = ["postgres"]  # a fixture

ATTACKER, OFFICE = {"x-forwarded-for": "203.0.113.9"}, {"x-forwarded-for": "203.0.113.10"}
HELLO = {"content": "Hi"}
FAILURES_MAX = 5


@pytest.fixture
def two(fake: FakeProvider, private_key: str, tmp_path: Path, postgres: Postgres) -> Iterator[tuple[Server, Server]]:
    """Two servers over one database, behind a proxy that they trust."""
    settings: dict[str, Any] = settings_for(fake, private_key)
    settings["server"]["trusted_proxies"] = ["127.0.0.0/8"]
    settings["storage"] = {"url": postgres.fresh()}
    settings["abuse"] = {"failures_max": FAILURES_MAX, "violations_max": 4, "block_seconds": 600}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with serving(settings, tmp_path / "one") as one, serving(settings, tmp_path / "two") as other:
        yield one, other


async def code_of(client: Client, method: str = "getTokenBalance", *, shown: str | None = None) -> tuple[int, str]:
    said = await client.call(method, HELLO if method == "executeAIRequest" else {}, token=shown)
    return (said["error"]["code"], said["error"]["data"]["reason"]) if "error" in said else (0, "")


async def becomes(client: Client, wanted: tuple[int, str], *, shown: str | None = None) -> float:
    """Wait until it is answered so; the seconds that took."""
    began = asyncio.get_running_loop().time()

    async def is_so() -> bool:
        return await code_of(client, shown=shown) == wanted

    await until(is_so)
    return asyncio.get_running_loop().time() - began


async def test_who_guesses_is_refused_by_every_worker_until_an_admin_ends_it(
    two: tuple[Server, Server], http: aiohttp.ClientSession
) -> None:
    one, _ = two
    boss = Client(one, http, await asyncio.to_thread(token, one, "boss", "tester", role="admin"))
    good = await asyncio.to_thread(token, one, "ada", "tester")
    here, there = (Client(server, http, headers=ATTACKER) for server in two)
    for number in range(FAILURES_MAX):
        assert (await code_of(here, shown=f"{good}{number}x"))[0] == -32004
    refused = await here.error("getTokenBalance", token="no.such.token")
    assert (refused["code"], refused["data"]["reason"]) == (-32002, "blocked")
    assert 590 <= refused["data"]["retryAfter"] <= 600
    assert refused["data"]["resetTime"] > "2026"
    await becomes(there, (-32002, "blocked"), shown="no.such.token")
    assert await code_of(there, shown=good) == (-32002, "blocked"), "what holds is not looked at from a blocked address"
    assert await code_of(there, "ping", shown="") == (-32002, "blocked")
    for server in two:  # the same at another address, and without one that a proxy names
        assert await code_of(Client(server, http, good, headers=OFFICE)) == (0, "")
        assert await code_of(Client(server, http, good, headers=ATTACKER)) == (0, ""), "who is known goes on"
    listed = (await boss.result("listBlocks"))["blocks"]
    assert [(block["subject"], block["rule"], block["count"]) for block in listed] == [
        ("ip:203.0.113.9", "failed_credentials", FAILURES_MAX)
    ]
    blocked = (await boss.result("listAuditEvents", {"subject": "ip:203.0.113.9"}))["events"]
    assert [(act["actor"], act["action"], act["reason"], act["details"]["count"]) for act in blocked] == [
        ("server", "block", "failed_credentials", FAILURES_MAX)
    ]
    await boss.result("unblock", {"subject": "ip:203.0.113.9", "reason": "a test"})
    for client in (here, there):
        await becomes(client, (-32004, "malformed_token"), shown="no.such.token")
        assert await code_of(client, shown=good) == (0, "")
    assert (await boss.result("listBlocks"))["blocks"] == []
    assert (await boss.error("unblock", {"subject": "ip:203.0.113.9"}))["code"] == -32011
    acts = (await boss.result("listAuditEvents", {"limit": 1}))["events"]
    assert [(act["actor"], act["action"], act["subject"], act["reason"]) for act in acts] == [
        ("boss", "unblock", "ip:203.0.113.9", "a test")
    ]


async def test_a_block_and_its_end_are_heard_of_by_the_other_worker_within_a_second(
    two: tuple[Server, Server], http: aiohttp.ClientSession
) -> None:
    boss = Client(two[0], http, await asyncio.to_thread(token, two[0], "boss", "tester", role="admin"))
    numbers = count(1)

    async def heard() -> float:
        address = f"203.0.113.{next(numbers)}"
        here, there = (Client(server, http, headers={"x-forwarded-for": address}) for server in two)
        for number in range(FAILURES_MAX):
            assert (await code_of(here, shown=f"guess.{number}.x"))[0] == -32004
        began = await becomes(there, (-32002, "blocked"), shown="no.such.token")
        await boss.result("unblock", {"subject": f"ip:{address}", "reason": "a test"})
        return max(began, await becomes(there, (-32004, "malformed_token"), shown="no.such.token"))

    await within(1.2, heard)  # it is asked every 50 ms, and by a busy machine


async def test_one_bad_token_among_good_ones_blocks_nobody(
    two: tuple[Server, Server], http: aiohttp.ClientSession
) -> None:
    one, _ = two
    users = [await asyncio.to_thread(token, one, user, "tester") for user in ("ada", "bob")]
    office = Client(one, http, headers=OFFICE)
    for number in range(4 * FAILURES_MAX):
        assert (await code_of(office, shown="one.bad.token"))[0] == -32004
        assert await code_of(office, shown=users[number % 2]) == (0, "")
    for number in range(2 * FAILURES_MAX):  # not even a guesser in the office locks the others out
        assert (await code_of(office, shown=f"guess.{number}.x"))[0] == -32004
    assert await code_of(office, shown=users[0]) == (0, "")
    assert await code_of(office, "ping", shown="") == (0, "")


async def test_a_user_who_never_slows_down_is_blocked_and_no_other(
    two: tuple[Server, Server], http: aiohttp.ClientSession
) -> None:
    one, other = two
    hasty = await asyncio.to_thread(token, one, "hasty", "hasty")
    ada = await asyncio.to_thread(token, one, "ada", "tester")
    client = Client(one, http, hasty, headers=OFFICE)
    codes = [await code_of(client, "executeAIRequest") for _ in range(8)]
    assert codes == [(0, "")] * 3 + [(-32002, "rate_limited")] * 4 + [(-32002, "blocked")]
    await becomes(Client(other, http, hasty), (-32002, "blocked"))
    assert await code_of(Client(one, http, ada, headers=OFFICE)) == (0, "")


async def test_an_address_in_a_header_is_believed_from_nobody_but_a_trusted_proxy(
    fake: FakeProvider, http: aiohttp.ClientSession, private_key: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = settings_for(fake, private_key)
    settings["abuse"] = {"failures_max": FAILURES_MAX}
    with serving(settings, tmp_path) as server:
        good = await asyncio.to_thread(token, server, "ada", "tester")
        liar = Client(server, http, headers=ATTACKER)
        for number in range(3 * FAILURES_MAX):
            assert (await code_of(liar, shown=f"guess.{number}.x"))[0] == -32004
        assert await code_of(Client(server, http, good, headers=ATTACKER)) == (0, ""), "nobody is blocked by a lie"
        boss = await asyncio.to_thread(token, server, "boss", "tester", role="admin")
        assert (await Client(server, http, boss).result("listBlocks"))["blocks"] == []
