"""For any history of calls: usage rows, balances and quota windows tell the same story."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monetization.tab import Tab
from monetization.terms import Target
from storage.errors import Fault
from storage.records.usage import Usage
from storage.store import open_store
from tests.monetization.tab.world import DEAR, HOLD_SECONDS, MOST, NANO, TARGET, Clock, Cut, World, account, world_over

GRANTED = {"tokens": ("TOKEN", 1_500), "credits": ("CREDIT", NANO // 4), "allowance": ("TOKEN", 0), "own": ("TOKEN", 0)}
WINDOWS = {"own": ("own_tokens", "own_requests")}


@dataclass(frozen=True)
class Part:
    """What one call does."""

    tier: str
    ending: str
    """done, failed, cancelled, dead (its process dies), late (it outlives its hold)"""
    target: Target
    noted: int
    """Bytes delivered when the running cost is noted; 0: it is not."""
    delivered: int
    usage: Usage | None
    key: str | None


@st.composite
def parts(draw: st.DrawFn) -> Part:
    noted = draw(st.sampled_from([0, 0, 12, 150]))
    delivered = noted + draw(st.integers(0, 500))
    counts = st.builds(Usage, input=st.integers(0, 120), output=st.integers(0, 200), reasoning=st.integers(0, 9))
    return Part(
        tier=draw(st.sampled_from(list(GRANTED))),
        ending=draw(st.sampled_from(["done", "done", "failed", "cancelled", "dead", "late"])),
        target=draw(st.sampled_from([TARGET, DEAR])),
        noted=noted,
        delivered=delivered,
        usage=draw(st.one_of(st.none(), counts)),
        key=draw(st.sampled_from([None, None, "a", "b"])),
    )


class History:
    """Plays calls and remembers what died."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead: list[int] = []

    async def play(self, part: Part) -> None:
        world = self.world
        call = world.call(key=part.key and f"{part.key}-{part.tier}", params={"content": part.tier})
        most = MOST if part.target is TARGET else MOST.__class__((TARGET, DEAR), 100, 50, 80)
        opened = world.tabs.open(call, world.quotes.quote(world.caller(part.tier, part.tier), most))
        tab: Any = await opened.__aenter__()
        if tab.is_replay:
            await opened.__aexit__(None, None, None)
            return
        error = await self._act(part, tab)
        if part.ending == "dead":
            world.bury(opened, tab)
            self.dead.append(tab._held.id)
            return
        tab.answer = {} if error is None else None
        if error is None:
            await opened.__aexit__(None, None, None)
        else:
            await opened.__aexit__(type(error), error, None)

    async def _act(self, part: Part, tab: Tab) -> BaseException | None:
        world, meter = self.world, tab.meter
        meter.target = part.target
        if part.noted:
            sink = tab.watch(_nowhere)
            assert sink is not None
            world.clock.advance(2)
            meter.bytes_delivered = part.noted
            await sink([1])
        meter.bytes_delivered, meter.usage = part.delivered, part.usage
        if part.ending == "late":
            world.clock.advance(HOLD_SECONDS + 1)
            await world.store.sweep()
        meter.is_complete = part.ending in ("done", "late")
        return {"failed": Cut(), "cancelled": asyncio.CancelledError()}.get(part.ending)

    async def play_all(self, batches: list[list[Part]]) -> None:
        for batch in batches:
            await asyncio.gather(*(self._quietly(part) for part in batch))
        self.world.clock.advance(HOLD_SECONDS + 1)
        await self.world.store.sweep()

    async def _quietly(self, part: Part) -> None:
        with suppress(Fault, Cut, asyncio.CancelledError):
            await self.play(part)


async def _nowhere(items: Any) -> None:
    """A client that reads everything at once."""


async def check(batches: list[list[Part]]) -> None:
    clock = Clock()
    async with open_store("sqlite://", clock_us=clock) as store:
        world = world_over(store, clock)
        for tier, (asset, amount) in GRANTED.items():
            if amount:
                await world.grant(asset, amount, user=tier)
        history = History(world)
        await history.play_all(batches)
        rows = await world.rows()
        for tier, (asset, granted) in GRANTED.items():
            balance = await store.balance(account(asset, tier))
            transfers = (await store.transfers(account(asset, tier), limit=1000)).rows
            mine = [row for row in rows if row.user_id == tier]
            paid = sum(row.charge_amount or 0 for row in mine)
            assert granted - balance.posted == paid
            died = {each.ref for each in transfers if each.code == "expire" and each.pending_id in history.dead}
            assert died <= {row.request_id for row in mine if row.outcome == "expired"}
            assert (balance.held, min(0, balance.posted)) == (0, 0)
            assert len({row.id for row in mine}) == len(mine)
            tokens, requests = WINDOWS.get(tier, ("tokens", "requests"))
            used, counted = await world.window(tokens, tier), await world.window(requests, tier)
            assert (used.held, counted.held) == (0, 0)
            settled = [row for row in mine if row.charge_amount is not None]
            assert used.used == sum(row.usage.tokens_total for row in settled)
            assert counted.used == len(settled)
        await world.assert_sound()


@given(st.lists(st.lists(parts(), min_size=1, max_size=5), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rows_balances_and_windows_agree_after_any_history(batches: list[list[Part]]) -> None:
    asyncio.run(check(batches))
