"""The store on PostgreSQL: opens the connections, owns the lane and the readers. What commands mean lives in `storage/ledger`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from storage.errors import StorageUnavailable, StoreRefused
from storage.ledger.evaluate import Group
from storage.records.commands import Command, Done, Expire, ExpireLots, Forget, Outcome, RecordUsage, Refusal
from storage.records.usage import UsageRow
from storage.sql.each import each
from storage.sql.postgres.connections import Connection, address_of, close, connect_first
from storage.sql.postgres.engine import Engine
from storage.sql.postgres.lane import Lane
from storage.sql.postgres.months import before, drop
from storage.sql.postgres.pool import Pool, open_pool
from storage.sql.postgres.pooler import check_pooler
from storage.sql.postgres.readers import PostgresReader
from storage.sql.postgres.series import Series, UsageWriter
from storage.sql.postgres.session import Session, check_schema
from storage.sql.pruning import SLACK_US, prune
from storage.sql.remembered import REMEMBERED_US_MAX, Remembered
from storage.sql.waiting import Committed, unheard
from storage.sql.weighing import weigh

# Any: outcomes of many kinds, as the lane gives them.

SWEEP_ROWS = 500


class PostgresStore(PostgresReader):
    """A store over one database that other processes may share. See `storage.store.Store` for the promises."""

    def __init__(self, lane: Lane, pool: Pool, clock_us: Callable[[], int], remembered: Remembered) -> None:
        super().__init__(pool, clock_us)
        self._lane = lane
        self.remembered = remembered

    async def submit(self, command: Command) -> Outcome:
        """Apply one command; it is durable when this returns."""
        outcome: Outcome = await self._lane.submit(command)
        return outcome

    async def submit_together(self, commands: Sequence[Command]) -> tuple[Done, ...] | Refusal:
        """Apply all commands or none, in one commit."""
        outcome: tuple[Done, ...] | Refusal = await self._lane.submit(Group(tuple(commands)))
        return outcome

    async def submit_each(self, commands: Sequence[Command | Sequence[Command]]) -> list[Any]:
        """Apply or refuse each by itself, in few commits."""
        return await each(self._lane.submit, commands)

    async def record_usage(self, row: UsageRow) -> None:
        """Keep one usage row; it is durable when this returns."""
        outcome = await self._lane.submit(RecordUsage(row))
        assert isinstance(outcome, Done), outcome

    async def prune(self, *, usage_before_us: int) -> int:
        """Delete what has outlived its time; usage by whole months. Returns how many rows went."""
        await weigh(self.mark, self._lane.submit, self._clock_us())
        gone = await self._pool.alone(lambda connection: self._drop_months(connection, usage_before_us))
        return gone + await prune(self.outlived, self._lane.submit)

    async def _drop_months(self, connection: Connection, usage_before_us: int) -> int:
        months = await before(connection, usage_before_us)
        if months:  # told before it is done, so that no proof misses what is gone
            await self._lane.submit(Forget(usage_before_us=months[-1].until_us + SLACK_US))
        return await drop(connection, months)

    async def sweep(self) -> int:
        """Expire every hold and lot whose time has come; several processes may sweep at once."""
        done = 0
        while True:
            holds, accounts = await self.due(SWEEP_ROWS)
            commands: list[Command] = [Expire(tenant=tenant, hold_id=hold_id) for tenant, hold_id in holds]
            if not holds:
                commands += [ExpireLots(account=key) for key in accounts]
            await asyncio.gather(*(self._lane.submit(command) for command in commands))
            done += len(commands)
            if not holds:
                return done


@asynccontextmanager
async def open_postgres(
    url: str,
    *,
    clock_us: Callable[[], int],
    committed: Committed = unheard,
    remembered_us_max: int = REMEMBERED_US_MAX,
    usage: Callable[[Connection, Series], UsageWriter] = UsageWriter,
) -> AsyncIterator[PostgresStore]:
    """Open the database at `url`; it has the schema of this program already (`tollgate migrate`).

    `remembered_us_max`: how old what `remembered` answers may be, since other processes write too.

    Raises: StoreRefused when it cannot be reached, has no or another schema, or asyncpg is not installed.
    """
    address = address_of(url)
    connection = await connect_first(address)
    session = Session(address, connection)
    try:
        await check_schema(connection)
        await check_pooler(address, connection)
        async with open_pool(address) as pool:
            remembered = Remembered(PostgresReader(pool, clock_us), clock_us, age_us_max=remembered_us_max)
            lane = Lane(Engine(session, clock_us, remembered.changed, usage).run, committed)
            store = PostgresStore(lane, pool, clock_us, remembered)
            try:
                await _sweep_first(store)
                yield store
            finally:
                await lane.close()
    finally:
        await session.close()


async def _sweep_first(store: PostgresStore) -> None:
    """Settle what a dead process held before anyone is served. Raises: StoreRefused when nothing can be written."""
    try:
        await store.sweep()
    except StorageUnavailable as away:
        raise StoreRefused(
            "storage.url: PostgreSQL answers but cannot write now; is it read-only, full, or a standby?"
        ) from away


@asynccontextmanager
async def open_postgres_reader(url: str, *, clock_us: Callable[[], int]) -> AsyncIterator[PostgresReader]:
    """Look into the database at `url` without writing. Raises: StoreRefused when it cannot be read as it is."""
    address = address_of(url)
    connection = await connect_first(address)
    try:
        await check_schema(connection)
        await check_pooler(address, connection)
    finally:
        await close(connection)
    async with open_pool(address) as pool:
        yield PostgresReader(pool, clock_us)
