"""The store on SQLite: opens the file, owns the lane and the readers. The meaning of commands lives in `storage/ledger`."""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from storage.errors import StoreRefused
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
from storage.sql.sqlite import connections, schema
from storage.sql.sqlite.engine import Engine
from storage.sql.sqlite.lane import Lane, unavailable
from storage.sql.sqlite.lock import only_process
from storage.sql.sqlite.readers import LAST, Readers
from storage.sql.verify import verify

SWEEP_ROWS = 500


class SqliteStore:
    """A store over one file. See `storage.store.Store` for the promises."""

    def __init__(self, path: Path, lane: Lane, readers: Readers) -> None:
        self._path = path
        self._lane = lane
        self._readers = readers

    async def submit(self, command: Command) -> Outcome:
        """Apply one command; it is on disk when this returns."""
        outcome: Outcome = await self._lane.submit(command)
        return outcome

    async def submit_together(self, commands: Sequence[Command]) -> tuple[Done, ...] | Refusal:
        """Apply all commands or none, in one commit."""
        outcome: tuple[Done, ...] | Refusal = await self._lane.submit(Group(tuple(commands)))
        return outcome

    async def record_usage(self, row: UsageRow) -> None:
        """Keep one usage row; it is on disk when this returns."""
        await self._lane.submit(RecordUsage(row))

    async def sweep(self) -> int:
        """Expire every hold and lot whose time has come; returns how many holds and accounts it went through."""
        done = 0
        while True:
            holds, accounts = self._readers.due(SWEEP_ROWS)
            commands: list[Command] = [Expire(tenant=tenant, hold_id=hold_id) for tenant, hold_id in holds]
            if not holds:
                commands += [ExpireLots(account=key) for key in accounts]
            await asyncio.gather(*(self._lane.submit(command) for command in commands))
            done += len(commands)
            if not holds:
                return done

    async def ping(self) -> None:
        """Return if the file answers."""
        self._readers.ping()

    async def balance(self, key: AccountKey) -> Balance:
        """The balance after the last commit."""
        return self._readers.balance(key)

    async def system_balance(self, key: AccountKey) -> int:
        """What a system account received less what it gave."""
        return self._readers.system_balance(key)

    async def lots(self, key: AccountKey, *, with_empty: bool = False) -> tuple[LotView, ...]:
        """The account's lots in the order of spending."""
        return self._readers.lots(key, with_empty=with_empty)

    async def holds(self, key: AccountKey) -> tuple[HoldView, ...]:
        """The account's open holds, oldest first."""
        return self._readers.holds(key)

    async def transfers(self, key: AccountKey, *, limit: int = 50, cursor: str | None = None) -> Page[TransferView]:
        """The account's movements, newest first."""
        return self._readers.transfers(key, limit, cursor)

    async def windows(self, tenant: str, subject: str) -> tuple[WindowView, ...]:
        """Every quota window of a subject, the newest period first."""
        return self._readers.windows(tenant, subject)

    async def window(self, key: WindowKey) -> WindowView:
        """One quota window's counters."""
        return self._readers.window(key)

    async def accounts(
        self, tenant: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[tuple[AccountKey, Balance]]:
        """The customers' accounts, oldest first."""
        return self._readers.accounts(tenant, limit, cursor)

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
        return self._readers.usage(tenant, user_id, limit, cursor, since_us, until_us)

    async def kept(self, tenant: str, kind: str, key: str | None = None) -> tuple[KeptRow, ...]:
        """Kept rows of a kind, the oldest first; of one key, or of all."""
        return self._readers.kept(tenant, kind, key)

    async def verify(self) -> list[Check]:
        """Prove the ledger's invariants on one snapshot, in a thread of its own, while traffic goes on."""
        return await asyncio.to_thread(_verify, self._path)


def _verify(path: Path) -> list[Check]:
    try:
        with closing(connections.reader(path)) as connection:
            connection.execute("BEGIN")
            return verify(connection.execute)
    except sqlite3.Error as failed:
        raise unavailable(failed) from failed


@asynccontextmanager
async def open_sqlite(path: str, *, clock_us: Callable[[], int], **options: Any) -> AsyncIterator[SqliteStore]:
    """Open (and create) the file at `path`; an empty path is a private database that is gone when the store closes.

    Raises: StoreRefused when the file cannot be used: held by another process, not writable, not ours, or newer than we are.
    """
    if path:
        async with _open_file(Path(path), is_durable=True, clock_us=clock_us, **options) as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix="tollgate-") as folder:
        async with _open_file(Path(folder) / "private.db", is_durable=False, clock_us=clock_us, **options) as store:
            yield store


@asynccontextmanager
async def _open_file(
    path: Path, *, is_durable: bool, clock_us: Callable[[], int], **options: Any
) -> AsyncIterator[SqliteStore]:
    with (
        only_process(path),
        closing(_writer(path, is_durable=is_durable)) as connection,
        closing(connections.reader(path)) as reader,
    ):
        lane = Lane(Engine(connection, clock_us, **options).run, asyncio.get_running_loop())
        store = SqliteStore(path, lane, Readers(reader, clock_us))
        try:
            await store.sweep()  # what a dead process held is settled before anyone is served
            yield store
        finally:
            await lane.close()


def _writer(path: Path, *, is_durable: bool) -> sqlite3.Connection:
    try:
        connection = connections.writer(path, is_durable=is_durable)
        try:
            schema.ensure(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as failed:
        raise StoreRefused(f"storage.url: {path.name!r} cannot be opened for writing ({failed})") from failed
    return connection
