"""What has outlived its time goes, in small commits; what must stay stays, and every proof holds afterwards."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from storage.records.commands import Claim, Event, Idempotency
from storage.records.money import NEVER_US
from storage.records.reports import UsageScope
from storage.sql.pruning import EVENTS_US, ROWS_MAX, SLACK_US
from storage.store import Store, open_store
from tests.fakes.postgres import Server
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, HOUR_US, MONTH, done, grant, hold, refused, settle, usage_row


async def a_call(store: Store, clock: Clock, number: int) -> None:
    held = await done(store, hold(clock, 5, ref=f"req_{number}", claims=(Claim(MONTH, 5),)))
    row = replace(usage_row(str(number), "ada", clock()), charge_amount=3, charge_asset="TOKEN")
    await done(store, settle(held, 3, usage=row, ref=f"req_{number}", quota={"tokens": 3}))


async def ids(store: Store) -> list[str]:
    return [row.id for row in (await store.usage("t", "ada", limit=500)).rows]


async def test_usage_rows_go_by_their_age_and_the_books_stay(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100))
    await a_call(store, clock, 1)
    clock.forward(30 * 24 * 3600)
    await a_call(store, clock, 2)
    assert await store.prune(usage_before_us=clock() - 10 * 24 * HOUR_US) == 1
    assert await ids(store) == ["2"]
    assert (await store.balance(ADA)).posted == 94
    assert len((await store.transfers(ADA)).rows) == 3
    assert await store.prune(usage_before_us=clock() - 10 * 24 * HOUR_US) == 0
    assert [one.requests for one in await store.usage_sums(UsageScope("t"), (0, clock() + 1))] == [2]


async def test_a_row_of_long_ago_goes_at_once_however_late_it_came(tmp_path: Path, clock: Clock) -> None:
    """On PostgreSQL it goes with its month. Here: behind younger ones, before them, and another tenant's."""
    month_us = 31 * 24 * HOUR_US
    async with open_store(f"sqlite:///{tmp_path / 'ledger.db'}", clock_us=clock) as store:
        for number in range(ROWS_MAX + 1):
            await store.record_usage(usage_row(f"young-{number}", "ada", clock()))
        await store.record_usage(usage_row("late", "ada", clock() - month_us))
        await store.record_usage(replace(usage_row("other", "ada", clock() - month_us), tenant="u"))
        assert await store.prune(usage_before_us=clock() - HOUR_US) == 2
        assert len(await ids(store)) == ROWS_MAX + 1
        assert [check for check in await store.verify() if not check.is_ok] == []


async def test_whose_rows_are_gone_is_still_ranked_by_the_sums_of_their_hours(store: Store, clock: Clock) -> None:
    first_us = clock() - clock() % HOUR_US
    await store.record_usage(usage_row("old", "ada", clock()))
    clock.forward(70 * 24 * 3600)
    await store.record_usage(usage_row("new", "bob", clock()))
    await store.prune(usage_before_us=clock() - 10 * 24 * HOUR_US)
    assert await ids(store) == []
    for edges in ((first_us, clock() + 1), (first_us, first_us + HOUR_US)):
        top = await store.usage_top(UsageScope("t"), edges, by=("user_id",), limit=1)
        assert (top.count, [one.key for one in top.sums]) == (2 if edges[1] > clock() else 1, [("ada",)])


async def test_on_postgres_a_month_goes_as_a_whole_and_a_late_row_of_it_makes_it_anew(
    postgres: Server, clock: Clock
) -> None:
    url = await asyncio.to_thread(postgres.cleaned)
    async with open_store(url, clock_us=clock) as store:
        first = usage_row("first", "ada", clock())
        await store.record_usage(first)
        await store.record_usage(usage_row("late", "ada", clock() - 31 * 24 * HOUR_US))
        assert await store.prune(usage_before_us=clock()) == 1
        assert await ids(store) == ["first"], "the month that is not over stays whole"
        clock.forward(62 * 24 * 3600)
        assert await store.prune(usage_before_us=clock() - 31 * 24 * HOUR_US) == 1
        months = postgres.query("SELECT inhrelid::regclass::text FROM pg_inherits ORDER BY 1", postgres.database(url))
        assert ("usage_y2023m11",) not in [tuple(row) for row in months]
        await store.record_usage(replace(first, id="later"))
        assert await ids(store) == ["later"]
        assert [check for check in await store.verify() if not check.is_ok] == []


async def test_two_processes_may_make_a_month_at_once_and_one_drop_what_the_other_knows(
    postgres: Server, clock: Clock
) -> None:
    url = await asyncio.to_thread(postgres.cleaned)
    far = clock() + 400 * 24 * HOUR_US
    async with open_store(url, clock_us=clock) as one, open_store(url, clock_us=clock) as other:
        await asyncio.gather(
            *(store.record_usage(usage_row(f"{n}", "ada", far)) for n, store in enumerate((one, other)))
        )
        assert len(await ids(one)) == 2
        clock.now = far + 40 * 24 * HOUR_US
        assert await one.prune(usage_before_us=clock()) == 2
        await other.record_usage(usage_row("again", "ada", far))
        assert await ids(one) == ["again"]


async def test_a_row_that_was_not_old_enough_to_go_is_still_missed_by_verify(store: Store, clock: Clock) -> None:
    """Pruning excuses what is as old as it was told, and nothing else."""
    await done(store, grant(ADA, 100))
    await a_call(store, clock, 1)
    clock.forward((SLACK_US + HOUR_US) // 1_000_000)
    held = await done(store, hold(clock, 5, ref="req_2"))
    await done(store, settle(held, 5, ref="req_2"))
    await store.prune(usage_before_us=clock() - HOUR_US)
    broken = {check.name: check.rows for check in await store.verify() if not check.is_ok}
    assert broken == {"usage rows tell what calls were charged": (("req_2", 5, 0),)}
    await store.record_usage(replace(usage_row("2", "ada", clock()), request_id="req_2", charge_amount=5))


async def test_many_rows_go_in_small_commits_while_others_write(tmp_path: Path, clock: Clock) -> None:
    async with open_store(f"sqlite:///{tmp_path / 'ledger.db'}", clock_us=clock) as store:
        await asyncio.gather(*(store.record_usage(usage_row(str(n), "ada", clock())) for n in range(2 * ROWS_MAX + 7)))
        clock.forward(3600)
        pruning = asyncio.ensure_future(store.prune(usage_before_us=clock()))
        await done(store, grant(ADA, 100))
        assert not pruning.done(), "a command passes between two of its commits"
        assert await pruning == 2 * ROWS_MAX + 7
        assert await ids(store) == []


async def test_a_key_that_may_be_forgotten_is_and_those_of_grants_are_kept_for_ever(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, idempotency=Idempotency("desk", "forever", "body")))
    key = Idempotency("call", "k", "body", clock.later(100))
    first = await done(store, hold(clock, 5, idempotency=key))
    await done(store, settle(first, 5))
    clock.forward(99)
    assert await store.prune(usage_before_us=0) == 0
    assert (await done(store, hold(clock, 5, idempotency=key))).is_replay
    clock.forward(1)
    assert await store.prune(usage_before_us=0) == 1
    again = await done(store, hold(clock, 5, idempotency=replace(key, request_hash="other", expires_us=NEVER_US)))
    assert not again.is_replay
    clock.forward(10**7)  # a third of a year
    await store.prune(usage_before_us=0)
    assert (await done(store, grant(ADA, 100, idempotency=Idempotency("desk", "forever", "body")))).is_replay
    assert (
        await refused(store, grant(ADA, 7, "2", idempotency=Idempotency("desk", "forever", "x")))
    ).reason == "key_reused"


async def test_an_event_that_nobody_has_received_is_never_deleted(store: Store, clock: Clock) -> None:
    await done(store, grant(ADA, 100, events=(Event("topic", "{}"),)))
    clock.forward(2 * EVENTS_US // 1_000_000)
    assert await store.prune(usage_before_us=clock()) == 0


async def test_an_event_that_was_delivered_goes_after_a_month(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "ledger.db"
    async with open_store(f"sqlite:///{path}", clock_us=clock) as store:
        await done(store, grant(ADA, 100, events=(Event("one", "{}"), Event("two", "{}"))))
        with closing(sqlite3.connect(path, isolation_level=None)) as deliverer:
            deliverer.execute("UPDATE outbox SET state='delivered' WHERE topic='one'")
        assert await store.prune(usage_before_us=0) == 0
        clock.forward(EVENTS_US // 1_000_000 + 1)
        assert await store.prune(usage_before_us=0) == 1
        with closing(sqlite3.connect(path)) as reader:
            assert reader.execute("SELECT topic FROM outbox").fetchall() == [("two",)]
