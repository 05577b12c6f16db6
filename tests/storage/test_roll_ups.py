"""For any history of rows, late ends, repetitions, prunes and restarts, sums are a recount of the rows."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.records.commands import Charge, Checkpoint, Done, RecordUsage
from storage.records.reports import DIMS, Dim, Order, UsageScope, UsageSum
from storage.records.usage import Usage, UsageRow
from storage.sql.postgres.store import PostgresStore
from storage.sql.rollups import marked_day_us
from storage.sql.sqlite.store import SqliteStore
from storage.store import Store, open_store
from tests.fakes.postgres import Server
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, HOUR_US, done, grant, hold, settle, usage_row
from tests.storage.recount import recount

DAY_US = 24 * HOUR_US
BASE_US = 19_662 * DAY_US
"""A day in the middle of a month."""
TIMES = (0, 1, HOUR_US - 1, HOUR_US, 7 * HOUR_US, DAY_US - 1, DAY_US, 40 * DAY_US, 75 * DAY_US, 97 * DAY_US)
T = UsageScope("t")
WEIGHTS: dict[Order, Callable[[UsageSum], int]] = {
    "tokens": lambda one: one.usage.tokens_total,
    "requests": lambda one: one.requests,
    "cost": lambda one: one.cost_nano,
}

rows = st.builds(
    lambda number, at, more: replace(usage_row(f"row-{number}", "ada", BASE_US + at), **more),
    st.integers(0, 7),
    st.sampled_from(TIMES),
    st.fixed_dictionaries(
        {},
        optional={
            "user_id": st.sampled_from([None, "bob"]),
            "organization_id": st.just("acme"),
            "key_id": st.just("key_1"),
            "model": st.sampled_from([None, "claude"]),
            "outcome": st.sampled_from(["failed", "cancelled"]),
            "cost_nano": st.integers(0, 2**63 - 1),
            "quantity_nano": st.integers(0, 10**18),
            "usage": st.builds(Usage, *[st.integers(0, 2**40)] * 10),
            "first_byte_us": st.integers(0, 9),
            "is_estimated": st.booleans(),
        },
    ),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("rows"), st.lists(rows, min_size=1, max_size=6)),
        st.tuples(st.just("late end"), rows),
        st.tuples(st.just("prune"), st.sampled_from(TIMES)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=8,
)
edges = st.lists(st.sampled_from([*TIMES, 17 * HOUR_US, 90 * DAY_US, 120 * DAY_US]), min_size=2, unique=True).map(
    sorted
)
"""From each to the last lie whole days, eight days and sixty-four."""
bys = st.lists(st.sampled_from(DIMS), unique=True, max_size=3)


class History:
    """A store and what it should tell."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = Clock()
        self.clock.now = BASE_US + 100 * DAY_US
        self.told: list[UsageRow] = []
        """Every row that was ever kept and not replaced."""
        self.before_us = 0

    async def run(self, history: list[tuple[str, Any]], ask: Callable[[Store], Any]) -> None:
        parts: list[list[tuple[str, Any]]] = [[]]
        for step in history:
            parts.append([]) if step[0] == "restart" else parts[-1].append(step)
        for part in parts:
            async with open_store(self.url, clock_us=self.clock) as store:
                for kind, about in part:
                    match kind:
                        case "rows":
                            await self.keep(store, about)
                        case "late end":
                            await self.end_late(store, about)
                        case _:
                            await self.prune(store, about)
                await ask(store)

    async def live(self, store: Store) -> set[str]:
        return {row.id for row in (await store.usage("t", None, limit=1000)).rows}

    async def keep(self, store: Store, new: list[UsageRow]) -> None:
        there = await self.live(store)
        for row in new:
            if row.id not in there:
                self.told.append(row)
                there.add(row.id)
        await asyncio.gather(*(store.record_usage(row) for row in new))

    async def end_late(self, store: Store, row: UsageRow) -> None:
        """A hold expires, then the call that made it ends after all; the expiry's row gives way to the call's own."""
        if row.id in await self.live(store):
            return
        held = await done(store, hold(self.clock, 0, seconds=10))
        lost = replace(row, outcome="expired", model="lost")
        await done(store, Checkpoint(tenant="t", hold_id=held.id, used=0, quota={}, usage=lost))
        self.clock.forward(10)
        await store.sweep()
        self.told.append(replace(lost, occurred_us=self.clock()))
        await self.agree(store, [0, 200 * DAY_US], ["model"])
        self.told.pop()
        assert isinstance(await store.submit(settle(held, 0, usage=row)), Done)
        self.told.append(row)

    async def prune(self, store: Store, at: int) -> None:
        await store.prune(usage_before_us=BASE_US + at)
        self.before_us = max(self.before_us, BASE_US + at)

    async def agree(self, store: Store, at: list[int], by: list[Any]) -> None:
        asked = [BASE_US + one for one in at]
        for scope in (
            T,
            UsageScope("t", "ada"),
            UsageScope("t", organization_id="acme"),
            UsageScope("t", where={"model": "claude"}),
        ):
            found = await store.usage_sums(scope, asked, by=by)
            assert {(one.start_us, one.key): one for one in found} == recount(self.told, scope, asked, by)

    async def agree_who_is_first(self, store: Store, at: list[int]) -> None:
        """Users, whose weights are kept, and models, whose are not; in all orders."""
        asked = [BASE_US + one for one in (at[0], at[-1])]
        dims: tuple[Dim, ...] = ("user_id", "model")
        for dim in dims:
            counted = recount(self.told, T, asked, [dim]).values()
            for order, weight in WEIGHTS.items():
                first = sorted(counted, key=lambda one: (-weight(one), one.key[0] is not None, one.key[0] or ""))
                for limit in (0, 2):
                    found = await store.usage_top(T, asked, by=[dim], limit=limit, order=order)
                    assert found.sums == tuple(first[:limit])
                    assert found.count == sum(one.key[0] is not None for one in counted)


async def told(url: str, history: list[tuple[str, Any]], at: list[int], by: list[Any]) -> None:
    one = History(url)

    async def ask(store: Store) -> None:
        assert [check for check in await store.verify() if not check.is_ok] == []
        # Where rows are gone, hours are whole: what was pruned is told by its sums.
        whole = [edge - edge % HOUR_US if BASE_US + edge < one.before_us + DAY_US else edge for edge in at]
        if len(asked := sorted(set(whole))) > 1:
            await one.agree(store, asked, by)
            await one.agree_who_is_first(store, asked)

    await one.run(history, ask)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps, edges, bys)
def test_sums_are_a_recount_for_any_history(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, Any]], at: list[int], by: list[Any]
) -> None:
    asyncio.run(told(f"sqlite:///{tmp_path_factory.mktemp('history') / 'ledger.db'}", history, at, by))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps, edges, bys)
def test_sums_are_a_recount_for_any_history_on_postgres(
    postgres: Server, history: list[tuple[str, Any]], at: list[int], by: list[Any]
) -> None:
    asyncio.run(told(postgres.cleaned(), history, at, by))


async def test_days_are_summed_up_by_longer_times_once_they_have_ended_and_late_rows_at_once(
    store: Store, clock: Clock
) -> None:
    async def users(days: int) -> dict[str | None, int]:
        assert [check for check in await store.verify() if not check.is_ok] == []
        found = await store.usage_top(T, (BASE_US, BASE_US + days * DAY_US), by=("user_id",), limit=9, order="requests")
        assert found.count == len(found.sums)
        (whole,) = await store.usage_sums(T, (BASE_US, BASE_US + days * DAY_US))
        assert whole.requests == sum(one.requests for one in found.sums)
        return {one.key[0]: one.requests for one in found.sums}

    async def keep(number: int, user: str, day: int) -> None:
        await store.record_usage(usage_row(f"{user}-{number}-{day}", user, BASE_US + day * DAY_US))

    clock.now = BASE_US + DAY_US // 2
    await keep(1, "ada", 0)
    await store.prune(usage_before_us=0)
    marks = [await _mark(store)]
    for day in (1, 2, 70, 71):
        await keep(day, "bob", day)
    assert await users(100) == {"ada": 1, "bob": 4}
    clock.now = BASE_US + 71 * DAY_US + DAY_US // 2
    await store.prune(usage_before_us=0)
    marks.append(await _mark(store))
    assert [marked_day_us(mark) - BASE_US for mark in marks] == [DAY_US, 71 * DAY_US]
    assert await users(100) == {"ada": 1, "bob": 4}
    await keep(7, "ada", 2)
    await keep(7, "eve", 70)
    await keep(7, "eve", 71)
    assert await users(100) == {"bob": 4, "ada": 2, "eve": 2}
    clock.now = BASE_US + 200 * DAY_US + DAY_US // 2
    await store.prune(usage_before_us=0)
    assert await users(100) == {"bob": 4, "ada": 2, "eve": 2}
    assert marked_day_us(await _mark(store)) == BASE_US + 200 * DAY_US


async def _mark(store: Store) -> int:
    assert isinstance(store, SqliteStore | PostgresStore)
    return await store.mark()


async def test_a_command_that_is_undone_adds_nothing_and_makes_no_series(store: Store) -> None:
    row = usage_row("1", "ada", BASE_US)
    refusal = await store.submit_together([RecordUsage(row), Charge(account=ADA, amount=5)])
    assert not isinstance(refusal, tuple)
    assert await store.usage_sums(T, (0, BASE_US + 1)) == ()
    await store.record_usage(row)
    (one,) = await store.usage_sums(T, (0, BASE_US + 1))
    assert one.requests == 1


async def test_sums_past_sixty_four_bits_stop_no_charge(store: Store, clock: Clock) -> None:
    most = 2**63 - 1
    await done(store, grant(ADA, most))
    for number in range(3):
        row = replace(usage_row(str(number), "ada", clock()), cost_nano=most, fee_nano=most, quantity_nano=most)
        row = replace(row, saving_nano=-most)
        await store.record_usage(row)
    (one,) = await store.usage_sums(T, (clock() - DAY_US, clock() + DAY_US))
    assert (one.cost_nano, one.fee_nano, one.quantity_nano, -one.saving_nano) == (3 * most,) * 4
    assert all(check.is_ok for check in await store.verify())


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE usage_slot SET requests=requests+1 WHERE grain=0",
        "UPDATE usage_slot SET tokens_output=0 WHERE grain=1",
        "UPDATE usage_slot SET tokens_output=0 WHERE grain=2",
        "DELETE FROM usage_slot WHERE grain=3",
        "UPDATE usage_weight SET tokens=tokens+1 WHERE grain=1",
        "UPDATE usage_weight SET cost_nano_rest=cost_nano_rest+1 WHERE grain=2",
        "DELETE FROM usage_weight WHERE grain=3",
        "DELETE FROM usage_slot WHERE series=(SELECT id FROM usage_series WHERE level=2)",
        "DELETE FROM usage_slot WHERE series=(SELECT id FROM usage_series WHERE level=0)",
        "UPDATE usage SET cost_nano=1",
        "UPDATE usage_series SET model='other' WHERE level=1",
    ],
)
async def test_verify_sees_a_sum_that_is_no_recount(tmp_path: Path, clock: Clock, forgery: str) -> None:
    path = tmp_path / "ledger.db"
    async with open_store(f"sqlite:///{path}", clock_us=clock) as store:
        await store.record_usage(usage_row("1", "ada", clock()))
        assert all(check.is_ok for check in await store.verify())
        with closing(sqlite3.connect(path, isolation_level=None)) as forger:
            forger.execute(forgery)
        broken = [check.name for check in await store.verify() if not check.is_ok]
        assert broken == ["sums of usage are a recount of its rows"]
