"""The store on PostgreSQL: opens the connections, owns the lane and the readers. The meaning of commands lives in `storage/ledger`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from storage.ledger.evaluate import Group
from storage.records.commands import Command, Done, Expire, ExpireLots, Outcome, RecordUsage, Refusal
from storage.records.kept import KeptRow
from storage.records.ledger import (
    AccountKey,
    Balance,
    Check,
    HoldView,
    LotView,
    Page,
    TransferView,
    WindowKey,
    WindowView,
)
from storage.records.usage import UsageRow
from storage.sql.paging import LAST
from storage.sql.postgres.connections import address_of, connect_first
from storage.sql.postgres.engine import Engine
from storage.sql.postgres.lane import Lane
from storage.sql.postgres.pool import Pool, open_pool
from storage.sql.postgres.readers import Readers
from storage.sql.postgres.session import Session, check_schema
from storage.sql.postgres.verifying import verify_over

SWEEP_ROWS = 500


class PostgresStore:
    """A store over one database that other processes may share. See `storage.store.Store` for the promises."""

    def __init__(self, lane: Lane, readers: Readers, pool: Pool) -> None:
        self._lane = lane
        self._readers = readers
        self._pool = pool

    async def submit(self, command: Command) -> Outcome:
        """Apply one command; it is durable when this returns."""
        outcome: Outcome = await self._lane.submit(command)
        return outcome

    async def submit_together(self, commands: Sequence[Command]) -> tuple[Done, ...] | Refusal:
        """Apply all commands or none, in one commit."""
        outcome: tuple[Done, ...] | Refusal = await self._lane.submit(Group(tuple(commands)))
        return outcome

    async def record_usage(self, row: UsageRow) -> None:
        """Keep one usage row; it is durable when this returns."""
        await self._lane.submit(RecordUsage(row))

    async def sweep(self) -> int:
        """Expire every hold and lot whose time has come; several processes may sweep at once."""
        done = 0
        while True:
            holds, accounts = await self._readers.due(SWEEP_ROWS)
            commands: list[Command] = [Expire(tenant=tenant, hold_id=hold_id) for tenant, hold_id in holds]
            if not holds:
                commands += [ExpireLots(account=key) for key in accounts]
            await asyncio.gather(*(self._lane.submit(command) for command in commands))
            done += len(commands)
            if not holds:
                return done

    async def ping(self) -> None:
        """Return if the database answers."""
        await self._readers.ping()

    async def balance(self, key: AccountKey) -> Balance:
        """The balance after the last commit."""
        return await self._readers.balance(key)

    async def system_balance(self, key: AccountKey) -> int:
        """What a system account received less what it gave."""
        return await self._readers.system_balance(key)

    async def lots(self, key: AccountKey, *, with_empty: bool = False) -> tuple[LotView, ...]:
        """The account's lots in the order of spending."""
        return await self._readers.lots(key, with_empty=with_empty)

    async def holds(self, key: AccountKey) -> tuple[HoldView, ...]:
        """The account's open holds, oldest first."""
        return await self._readers.holds(key)

    async def transfers(self, key: AccountKey, *, limit: int = 50, cursor: str | None = None) -> Page[TransferView]:
        """The account's movements, newest first."""
        return await self._readers.transfers(key, limit, cursor)

    async def windows(self, tenant: str, subject: str) -> tuple[WindowView, ...]:
        """Every quota window of a subject, the newest period first."""
        return await self._readers.windows(tenant, subject)

    async def window(self, key: WindowKey) -> WindowView:
        """One quota window's counters."""
        return await self._readers.window(key)

    async def accounts(
        self, tenant: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[tuple[AccountKey, Balance]]:
        """The customers' accounts, oldest first."""
        return await self._readers.accounts(tenant, limit, cursor)

    async def usage(
        self,
        tenant: str,
        user_id: str | None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        since_us: int = 0,
        until_us: int = LAST,
    ) -> Page[UsageRow]:
        """Usage rows, newest first."""
        return await self._readers.usage(tenant, user_id, limit, cursor, since_us, until_us)

    async def kept(self, tenant: str, kind: str, key: str | None = None) -> tuple[KeptRow, ...]:
        """Kept rows of a kind, the oldest first; of one key, or of all."""
        return await self._readers.kept(tenant, kind, key)

    async def verify(self) -> list[Check]:
        """Prove the ledger's invariants on one snapshot while traffic goes on."""
        return await self._pool.snapshot(verify_over)


@asynccontextmanager
async def open_postgres(url: str, *, clock_us: Callable[[], int]) -> AsyncIterator[PostgresStore]:
    """Open the database at `url`; it has the schema of this program already (`tollgate migrate`).

    Raises: StoreRefused when it cannot be reached, has no or another schema, or asyncpg is not installed.
    """
    address = address_of(url)
    connection = await connect_first(address)
    session = Session(address, connection)
    try:
        await check_schema(connection)
        async with open_pool(address) as pool:
            lane = Lane(Engine(session, clock_us).run)
            store = PostgresStore(lane, Readers(pool, clock_us), pool)
            try:
                await store.sweep()  # what a dead process held is settled before anyone is served
                yield store
            finally:
                await lane.close()
    finally:
        await session.close()
