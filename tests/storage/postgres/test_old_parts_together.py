"""Old parts of windows go while other processes count in the same windows, and no count is lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage.records.commands import Done
from storage.sql.postgres.connections import Connection, address_of, close, connect_first
from storage.sql.postgres.parts import fold
from storage.store import Store, open_store
from tests.fakes.postgres import Server
from tests.storage.conftest import Clock
from tests.storage.ledger_cases import ADA, done, grant, settle
from tests.storage.test_old_parts import LONG, call, counted, expired

# Any: whatever is awaited.

WAIT_SECONDS = 30
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock' AND datname=current_database()"
_LEFT = "SELECT count(*) FROM hold_window WHERE transfer_id<>0"


@pytest.fixture
async def url(postgres: Server) -> str:
    return await asyncio.to_thread(postgres.cleaned)


@pytest.fixture
async def store(url: str, clock: Clock) -> AsyncIterator[Store]:
    async with open_store(url, clock_us=clock) as opened:
        await done(opened, grant(ADA, 10_000))
        yield opened
        assert [check for check in await opened.verify() if not check.is_ok] == []


@pytest.fixture
async def others(url: str) -> AsyncIterator[list[Connection]]:
    """Two that prune by hand, and one that looks on."""
    connections = [await connect_first(address_of(url)) for _ in range(3)]
    yield connections
    for connection in connections:
        await close(connection)


async def is_waiting(watcher: Connection, late: "asyncio.Future[Any]") -> None:
    """Return once somebody waits for a lock."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not await watcher.fetchval(_WAITING):
            assert not late.done(), "it went by"
            await asyncio.sleep(0.01)


async def parts_of(connection: Connection, hold: Done) -> list[tuple[int, int]]:
    found = await connection.fetch("SELECT transfer_id, window_id FROM hold_window WHERE transfer_id=$1", hold.id)
    return [(transfer_id, window_id) for transfer_id, window_id in found]


async def test_a_late_end_waits_for_those_who_take_its_parts_away(
    store: Store, clock: Clock, others: list[Connection]
) -> None:
    held = await expired(store, clock)
    pruner, _, watcher = others
    await pruner.execute("BEGIN")
    await fold(pruner, await parts_of(pruner, held))
    late = asyncio.ensure_future(store.submit(settle(held, 1, quota={"tokens": 1})))
    await is_waiting(watcher, late)
    await pruner.execute("COMMIT")
    assert isinstance(await late, Done)
    assert await counted(store) == [(4, 0), (4, 0)]


async def test_who_prunes_passes_by_what_a_late_end_is_about_to_change(
    store: Store, clock: Clock, others: list[Connection]
) -> None:
    held = await expired(store, clock)
    pruner, ending, _ = others
    parts = await parts_of(pruner, held)
    await ending.execute("BEGIN")
    await ending.execute("SELECT 1 FROM hold_window WHERE transfer_id=$1 FOR UPDATE", held.id)
    await pruner.execute("BEGIN")
    await asyncio.wait_for(fold(pruner, parts), WAIT_SECONDS)
    await pruner.execute("COMMIT")
    await ending.execute("COMMIT")
    assert await parts_of(pruner, held) == parts


async def test_two_who_prune_the_same_window_at_once_add_both_sums(
    store: Store, clock: Clock, others: list[Connection]
) -> None:
    first, second = await expired(store, clock), await expired(store, clock)
    pruner, other, watcher = others
    await pruner.execute("BEGIN")
    await other.execute("BEGIN")
    await fold(pruner, await parts_of(pruner, first))
    folding = asyncio.ensure_future(fold(other, await parts_of(other, second)))
    await is_waiting(watcher, folding)
    await pruner.execute("COMMIT")
    await folding
    await other.execute("COMMIT")
    assert await watcher.fetchval(_LEFT) == 0


async def test_parts_of_every_process_go_though_its_ids_do_not_rise_with_time(
    url: str, store: Store, clock: Clock, others: list[Connection]
) -> None:
    """Each process numbers its holds from a block of its own; here the one with the lower ids has written last."""
    await call(store, clock, 1)
    async with open_store(url, clock_us=clock) as late:
        held = [await expired(process, clock) for _ in range(15) for process in (store, late)]
        clock.forward(LONG)
        await call(store, clock, 1)
        await call(late, clock, 1)
        assert await store.prune(usage_before_us=0) == 2 * (1 + len(held))
        assert await others[0].fetchval(_LEFT) == 4


async def test_two_processes_that_prune_while_late_ends_come_in_keep_every_count(
    url: str, store: Store, clock: Clock
) -> None:
    async with open_store(url, clock_us=clock) as other:
        held = [await expired(process, clock) for _ in range(10) for process in (store, other)]
        clock.forward(LONG)
        await asyncio.gather(call(store, clock, 1), call(other, clock, 1))
        ends = [process.submit(settle(each, 2, quota={"tokens": 2})) for each in held for process in (store, other)]
        pruned = asyncio.gather(store.prune(usage_before_us=0), other.prune(usage_before_us=0))
        outcomes = await asyncio.gather(*ends)
        await pruned
        assert sum(isinstance(outcome, Done) for outcome in outcomes) == len(held)
        assert (await store.balance(ADA)).posted == 10_000 - 2 * len(held) - 2
