"""A tab's world without HTTP: the real store, an injected clock, four tiers with one policy each, and calls that play a part."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from monetization.callers import Caller, Secret
from monetization.calls import Call, Credential
from monetization.charging.policies import Rules
from monetization.funding import TENANT
from monetization.holding import HoldingTabs
from monetization.prices.book import PriceBook, Table
from monetization.prices.rates import Price, nano_per_million, rates_from
from monetization.quoting import Quote, Quotes
from monetization.refusals import Links
from monetization.replays import Replays
from monetization.tab import Receipt, Tab
from monetization.terms import Most, Target
from monetization.tiers import Tier, Tiers
from storage.records.commands import Done, Grant
from storage.records.ledger import CREDITS, AccountKey, WindowKey, WindowView
from storage.records.usage import Usage, UsageRow
from storage.store import Store, open_store

DAY_US = 86_400_000_000
NOON = 1_795_000_000_000_000
"""18 November 2026, in the middle of a month."""
NANO = 1_000_000_000
HOLD_SECONDS = 600
TARGET = Target("openai", "plain", "openai")
DEAR = Target("anthropic", "dear", "anthropic")
MOST = Most((TARGET,), tokens_input=100, tokens_output=50, tokens_input_likely=80)
USED = Usage(input=40, output=10)
TIERS = (
    Tier("allowance", "A", monthly_token_quota=1_000, monthly_request_quota=10),
    Tier("overage", "O", monthly_token_quota=1_000, overage_nano_per_million=10 * NANO),
    Tier("tokens", "V", policy="virtual_tokens"),
    Tier("credits", "C", policy="credits"),
    Tier("own", "B", policy="byok"),
)
PRICES = {
    "openai/plain": (Price("plain", "test:1", 0, rates_from(input=nano_per_million("1"), output=nano_per_million("2"))),),
    "anthropic/dear": (Price("dear", "test:2", 0, rates_from(input=nano_per_million("10"), output=nano_per_million("20"))),),
}  # fmt: skip


@dataclass
class Clock:
    now_us: int = NOON

    def __call__(self) -> int:
        return self.now_us

    def monotonic(self) -> float:
        return self.now_us / 1_000_000

    def advance(self, seconds: float) -> None:
        self.now_us += int(seconds * 1_000_000)


class Cut(Exception):
    """What ends a part: a provider that fails."""


@dataclass
class World:
    store: Store
    clock: Clock
    tabs: HoldingTabs
    quotes: Quotes
    waited: list[float]
    numbers: Any = field(default_factory=lambda: count(1))
    graves: list[Any] = field(default_factory=list)
    """Blocks that a dead process never left; kept, because Python would leave them when nobody does."""

    def caller(self, tier: str, user: str = "ada", **more: Any) -> Caller:
        key = Secret("own") if tier == "own" else None
        return Caller("byok" if key else "subscription", user, tier=tier, own_key=key, **more)

    def call(self, *, key: str | None = None, params: object = None, is_stream: bool = False) -> Call:
        number = next(self.numbers)
        return Call(
            "executeAIRequest", params or {"content": "x"}, Credential("none"), f"req_{number}",
            idempotency_key=key, is_stream=is_stream, started=self.clock.monotonic(),
        )  # fmt: skip

    def quote(self, tier: str, most: Most = MOST, **more: Any) -> Quote:
        return self.quotes.quote(self.caller(tier, **more), most)

    async def grant(self, asset: str, amount: int, *, user: str = "ada", **more: Any) -> None:
        ref = str(next(self.numbers))
        command = Grant(
            account=account(asset, user), amount=amount, reason="purchase", source="shop", source_ref=ref, **more
        )
        assert isinstance(await self.store.submit(command), Done)

    async def fund(self, tier: str) -> None:
        """Enough for one call at most, whatever it is paid with."""
        if tier == "tokens":
            await self.grant("TOKEN", 1_000)
        if tier == "credits":
            await self.grant("CREDIT", NANO)

    async def run(
        self, tier: str, play: Callable[[Tab], Any], *, call: Call | None = None, most: Most = MOST
    ) -> Receipt | None:
        """One call. `play` does what its handler would do."""
        async with self.tabs.open(call or self.call(), self.quote(tier, most)) as tab:
            if tab.answer is None:
                done = play(tab)
                if asyncio.iscoroutine(done):
                    await done
                tab.answer = {"content": "the answer"}
        return tab.receipt

    async def doomed(self, tier: str, *, call: Call | None = None) -> Any:
        """A tab that nobody will close, because its process dies."""
        opened = self.tabs.open(call or self.call(), self.quote(tier))
        tab: Any = await opened.__aenter__()
        self.bury(opened, tab)
        return tab

    def bury(self, opened: Any, tab: Any) -> None:
        """Do to an open tab what kill -9 does."""
        self.tabs.heartbeats.clear(tab._pulse)
        self.graves.append(opened)

    async def available(self, asset: str, user: str = "ada") -> int:
        return (await self.store.balance(account(asset, user))).available

    async def held(self, asset: str, user: str = "ada") -> int:
        return (await self.store.balance(account(asset, user))).held

    async def window(self, resource: str, user: str = "ada") -> WindowView:
        found = [view for view in await self.store.windows(TENANT, f"user:{user}") if view.key.resource == resource]
        empty = WindowView(WindowKey(TENANT, f"user:{user}", resource, "monthly", 0), 0, 0)
        return found[0] if found else empty

    async def rows(self) -> list[UsageRow]:
        """The usage rows, oldest first."""
        return list(reversed((await self.store.usage(TENANT, None, limit=1000)).rows))

    async def expiries(self, asset: str, user: str = "ada") -> list[int]:
        page = await self.store.transfers(account(asset, user), limit=1000)
        return [transfer.amount for transfer in page.rows if transfer.code == "expire"]

    async def assert_sound(self) -> None:
        assert [check for check in await self.store.verify() if not check.is_ok] == []

    async def open_holds(self) -> int:
        found = [await self.store.holds(account(asset)) for asset in ("TOKEN", "CREDIT", "USD")]
        return sum(map(len, found))


def account(asset: str, user: str = "ada") -> AccountKey:
    return AccountKey(TENANT, "user", user, CREDITS, asset)


def done(usage: Usage | None = USED, target: Target = TARGET, delivered: int = 40) -> Callable[[Tab], None]:
    """A provider that answers in full."""

    def play(tab: Tab) -> None:
        meter = tab.meter
        meter.target, meter.usage, meter.bytes_delivered, meter.is_complete = target, usage, delivered, True

    return play


def cut(delivered: int, usage: Usage | None = None, error: type[BaseException] = Cut) -> Callable[[Tab], None]:
    """A provider, or a caller, that breaks off."""

    def play(tab: Tab) -> None:
        tab.meter.target, tab.meter.usage, tab.meter.bytes_delivered = TARGET, usage, delivered
        raise error

    return play


class Failing:
    """A store whose writes fail as long as `is_down` says; before or, worse, right after the commit."""

    def __init__(self, store: Store, is_down: Callable[[Any], bool], *, is_lost: bool = False) -> None:
        self._store = store
        self._is_down = is_down
        self._is_lost = is_lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def submit(self, command: Any) -> Any:
        return await self._maybe(command, self._store.submit)

    async def submit_together(self, commands: Sequence[Any]) -> Any:
        return await self._maybe(commands, self._store.submit_together)

    async def _maybe(self, command: Any, write: Any) -> Any:
        from storage.errors import StorageUnavailable  # noqa: PLC0415  # only the failing one raises it

        if not self._is_down(command):
            return await write(command)
        if self._is_lost:
            await write(command)
        raise StorageUnavailable("the disk is full")


@asynccontextmanager
async def world_at(path: Path, clock: Clock, **rules: Any) -> AsyncIterator[World]:
    """A world over one file; entering it again is a restart."""
    async with open_store(f"sqlite:///{path}", clock_us=clock) as store:
        yield world_over(store, clock, **rules)


def world_over(store: Store, clock: Clock, **rules: Any) -> World:
    """A world over any store."""
    numbers = count(clock.now_us)
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    tabs = HoldingTabs(
        ledger=store,
        replays=Replays(store, clock),
        links=Links(upgrade="https://app.example/upgrade", billing="https://app.example/billing"),
        clock_us=clock,
        monotonic=clock.monotonic,
        new_id=lambda: f"use_{next(numbers)}",
        hold_seconds=HOLD_SECONDS,
        sleep_seconds=sleep,
        first_note_seconds=3600,  # tests move their own clock
    )
    tiers = Tiers(TIERS, default="allowance")
    book = PriceBook([Table(PRICES)])
    quotes = Quotes(lambda: tiers, lambda: book, replace(Rules(), **rules), lambda _model, _at: None, clock)
    return World(store, clock, tabs, quotes, waited, numbers)


def through(world: World, store: Any) -> World:
    """The same world, its tabs writing through another store."""
    return replace(world, tabs=replace(world.tabs, ledger=store))


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    """Return once something is true. Raises: TimeoutError."""
    async with asyncio.timeout(30):
        while not await check():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.002)
