"""Blocked addresses at the door: what is not looked at from them, and who goes on all the same."""

import os
from collections.abc import AsyncIterator

import pytest

from monetization.abuse import AbuseRules, Watch
from monetization.calls import Credential
from monetization.directory import Directory
from monetization.errors import RateLimited, Unauthenticated
from monetization.keys.desk import KeyDesk
from monetization.keys.minting import Mint
from monetization.keys.records import KeyHolder, KeyTerms
from monetization.once import Once
from monetization.price_setting import Author
from server.auth.callers import Callers
from server.auth.gateway_keys import GatewayKeys
from server.auth.tokens import OneKey
from server.config_sections import AuthSettings
from storage.records.directory import DirectoryEntry
from storage.store import open_store
from tests.server.auth.conftest import ISSUER, NOW, World

HERE = "192.0.2.1"
RULES = AbuseRules(failures_max=3, window_us=600_000_000, block_us=900_000_000)
TIERS = {"free": "free", "pro": "pro", "gold": "gold"}


class Door:
    """Callers who show tokens and keys, and a watch over their addresses."""

    def __init__(self, world: World, directory: Directory, desk: KeyDesk, mint: Mint) -> None:
        self.world, self.desk = world, desk
        self.tiers = dict(TIERS)
        self.watch = Watch(RULES, clock_us=self.clock_us)
        self.callers = Callers(
            AuthSettings.model_validate({"issuer": ISSUER, "audience": "tollgate", "algorithms": ["ES256"]}),
            keys=OneKey(world.keys["ES256"]),
            default_tier=lambda: "free",
            tier_of=self.tiers.get,
            on_unknown_tier=world.unknown_tiers.append,
            on_failure=world.failures.append,
            watch=self.watch,
            gateway_keys=GatewayKeys(
                mint, directory, default_tier=lambda: "free", tier_of=self.tiers.get, clock_us=self.clock_us
            ),
            clock=lambda: world.now,
        )

    def clock_us(self) -> int:
        return int(self.world.now * 1_000_000)

    async def key(self) -> str:
        holder = KeyHolder("ada", tier="pro")
        return (await self.desk.create(Author("root", ""), holder, KeyTerms())).key

    def token(self) -> str:
        return self.world.token("ES256", exp=int(NOW) + 3_600)

    async def outcome(self, shown: str = "") -> str:
        """Who came in; else why nobody did."""
        credential = Credential("bearer", shown, HERE) if shown else Credential("none", address=HERE)
        try:
            caller = await self.callers.identify(credential)
        except (Unauthenticated, RateLimited) as refusal:
            return refusal.slug
        return caller.user_id or caller.kind

    async def guess(self) -> str:
        """As often as blocks an address; what the last guess is told."""
        for number in range(RULES.failures_max):
            said = await self.outcome(f"a.b.{number}")
        return said

    def hear_of_a_block(self) -> None:
        """Another process has blocked the address."""
        body = '{"rule":"failed_credentials","count":3}'
        until = self.clock_us() + RULES.block_us
        self.watch.heard(DirectoryEntry("default", "block", f"ip:{HERE}", f"ip:{HERE}", body, until))


@pytest.fixture
async def door(world: World) -> AsyncIterator[Door]:
    def clock_us() -> int:
        return int(world.now * 1_000_000)

    async with open_store("sqlite://", clock_us=clock_us) as store:
        directory = await Directory.opened(store, clock_us=clock_us, monotonic=lambda: 1.0)
        mint = Mint(b"s" * 32, os.urandom)
        desk = KeyDesk(directory, mint, clock_us, Once(store, lambda: os.urandom(8).hex()))
        yield Door(world, directory, desk, mint)


async def test_from_a_blocked_address_nothing_new_is_looked_at_not_even_what_holds(door: Door) -> None:
    key, token = await door.key(), door.token()
    assert await door.guess() == "malformed_token"
    assert [await door.outcome(shown) for shown in ("", key, token, "a.b.c")] == ["blocked"] * 4


@pytest.mark.parametrize("kind", ["key", "token"])
async def test_where_somebody_has_come_in_guesses_block_nobody(door: Door, kind: str) -> None:
    shown = await door.key() if kind == "key" else door.token()
    assert await door.outcome(shown) in {"ada", "user-1"}
    await door.guess()
    assert await door.outcome() == "anonymous"


@pytest.mark.parametrize("kind", ["key", "token"])
async def test_who_is_signed_in_goes_on_when_another_process_blocks_the_address(door: Door, kind: str) -> None:
    """A token is checked anew each minute: its holder must not be out a minute after somebody else's guesses."""
    shown = await door.key() if kind == "key" else door.token()
    first = await door.outcome(shown)
    door.hear_of_a_block()
    for _ in range(20):
        door.world.now += 61
        assert await door.outcome(shown) == first


async def test_the_tier_of_a_key_is_looked_up_anew_when_tiers_have_changed(door: Door) -> None:
    credential = Credential("bearer", await door.key(), HERE)
    assert (await door.callers.identify(credential)).tier == "pro"
    door.tiers["pro"] = "gold"
    door.callers.forget()
    assert (await door.callers.identify(credential)).tier == "gold"
