"""What holds and charges once counted in quota windows does not stay for ever, and the windows say the same without it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.records.commands import Charge, Checkpoint, Claim, Done
from storage.sql.parts import PARTS_US, ROWS_MAX
from storage.store import Store, open_store
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, MONTH, done, grant, hold, settle

EVER = MONTH._replace(period="lifetime")
BOTH = (Claim(MONTH, 5), Claim(EVER, 5))
LONG = PARTS_US / 1_000_000 + 1


async def expired(store: Store, clock: Clock, used: int = 4) -> Done:
    """A hold whose expiry has charged what was noted."""
    held = await done(store, hold(clock, 5, seconds=10, claims=BOTH))
    await done(store, Checkpoint(tenant="t", hold_id=held.id, used=used, quota={"tokens": used}))
    clock.forward(10)
    await store.sweep()
    return held


async def call(store: Store, clock: Clock, used: int) -> None:
    held = await done(store, hold(clock, 5, claims=BOTH))
    await done(store, settle(held, used, quota={"tokens": used}))


async def counted(store: Store) -> list[tuple[int, int]]:
    return [(view.used, view.held) for view in (await store.window(MONTH), await store.window(EVER))]


async def test_old_parts_go_and_young_and_open_ones_stay(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 1_000))
    await call(store, clock, 3)
    await done(store, Charge(account=ADA, amount=0, claims=BOTH))
    await expired(store, clock)
    clock.forward(LONG)
    await call(store, clock, 2)
    await done(store, hold(clock, 5, claims=BOTH))
    assert await store.prune(usage_before_us=0) == 6
    assert await counted(store) == [(14, 5), (14, 5)]
    assert all(check.is_ok for check in await store.verify())
    assert await store.prune(usage_before_us=0) == 0
    clock.forward(LONG)
    await store.sweep()
    await call(store, clock, 1)
    assert await store.prune(usage_before_us=0) == 4
    assert await counted(store) == [(15, 0), (15, 0)]


async def test_a_late_end_whose_windows_were_forgotten_still_brings_its_charge_to_the_real_use(
    store: Store, clock: Clock
) -> None:
    await done(store, grant(ADA, 100))
    more, less = await expired(store, clock), await expired(store, clock)
    clock.forward(LONG)
    await call(store, clock, 1)
    assert await store.prune(usage_before_us=0) == 4
    assert (await done(store, settle(more, 5, quota={"tokens": 5}))).amount == 1
    assert (await done(store, settle(less, 1, quota={"tokens": 1}))).amount == -3
    assert await counted(store) == [(9, 0), (9, 0)]


async def test_a_late_end_finds_its_windows_for_as_long_as_it_was_promised(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    held = await expired(store, clock)
    clock.forward(LONG - 12)
    assert await store.prune(usage_before_us=0) == 0
    await done(store, settle(held, 1, quota={"tokens": 1}))
    assert await counted(store) == [(1, 0), (1, 0)]


async def test_many_parts_go_in_small_commits_and_add_up(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 10_000))
    await asyncio.gather(*(call(store, clock, 1) for _ in range(ROWS_MAX + 7)))
    clock.forward(LONG)
    await call(store, clock, 1)
    assert await store.prune(usage_before_us=0) == 2 * (ROWS_MAX + 7)
    assert await counted(store) == [(ROWS_MAX + 8, 0)] * 2


@pytest.mark.parametrize(
    "forgery",
    ["UPDATE quota_window SET used=used-1", "UPDATE hold_window SET settled=settled+1", "DELETE FROM hold_window"],
)
async def test_verify_still_misses_what_was_taken_from_a_window_whose_parts_have_gone(
    tmp_path: Path, clock: Clock, forgery: str
) -> None:
    path = tmp_path / "ledger.db"
    async with open_store(f"sqlite:///{path}", clock_us=clock) as store:
        await done(store, grant(ADA, 100))
        await call(store, clock, 3)
        clock.forward(LONG)
        await done(store, grant(ADA, 100, "2"))
        assert await store.prune(usage_before_us=0) == 2
        with closing(sqlite3.connect(path, isolation_level=None)) as forger:
            assert forger.execute("SELECT transfer_id, settled FROM hold_window").fetchall() == [(0, 3), (0, 3)]
            forger.execute(forgery)
        broken = [check.name for check in await store.verify() if not check.is_ok]
        assert broken == ["quota windows equal their holds and charges"]
