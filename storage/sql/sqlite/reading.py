"""The reading half of the store on SQLite: over read-only connections, so that it also serves beside a running server."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from storage.errors import StoreRefused
from storage.records.kept import KeptRow
from storage.records.ledger import (
    AccountKey,
    Balance,
    Check,
    HoldView,
    Look,
    LotView,
    Page,
    Told,
    TransferView,
    WindowKey,
    WindowView,
    untold,
)
from storage.records.reports import EVERYTHING, Dim, Order, UsageScope, UsageSum, UsageTop
from storage.records.usage import UsageRow
from storage.sql.migrations.revisions import HEAD, REVISIONS, refusal
from storage.sql.paging import LAST, give_way
from storage.sql.sqlite import connections, schema
from storage.sql.sqlite.directory import DirectoryReads
from storage.sql.sqlite.readers import Readers
from storage.sql.sqlite.verifying import verify_file
from storage.sql.waiting import unavailable

T = TypeVar("T")

LONG_READS_MAX = 2
"""Long reads at the same time. Each thread keeps the memory of its greatest read, so they have few threads of their own."""


class SqliteReader(DirectoryReads):
    """Reads of one file. See `storage.store.Reader` for the promises."""

    def __init__(self, path: Path, readers: Readers, threads: Executor, clock_us: Callable[[], int]) -> None:
        super().__init__(readers.fetch, clock_us)
        self._path = path
        self._threads = threads
        self._readers = readers
        self._clock_us = clock_us

    async def ping(self) -> None:
        """Return if the file answers."""
        self._readers.ping()

    async def balance(self, key: AccountKey) -> Balance:
        """The balance after the last commit."""
        return self._readers.balance(key)

    async def look(self, windows: Sequence[WindowKey], account: AccountKey | None) -> Look:
        """Windows and an account after the last commit."""
        return self._readers.look_until(windows, account)[0]

    async def look_until(self, windows: Sequence[WindowKey], account: AccountKey | None) -> tuple[Look, int]:
        """The same, and when the account's next lot expires."""
        return self._readers.look_until(windows, account)

    async def system_balance(self, key: AccountKey) -> int:
        """What a system account received less what it gave."""
        return self._readers.system_balance(key)

    async def totals(self, key: AccountKey) -> Mapping[str, int]:
        """What ever moved on the account, by code; in a thread of its own, because it may be long."""
        return await self._beside(lambda readers: readers.totals(key))

    async def lots(self, key: AccountKey, *, with_empty: bool = False) -> tuple[LotView, ...]:
        """The account's lots in the order of spending."""
        return self._readers.lots(key, with_empty=with_empty)

    async def holds(self, key: AccountKey) -> tuple[HoldView, ...]:
        """The account's open holds, oldest first."""
        return self._readers.holds(key)

    async def transfers(self, key: AccountKey, *, limit: int = 50, cursor: str | None = None) -> Page[TransferView]:
        """The account's movements, newest first."""
        await give_way(cursor)
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
        await give_way(cursor)
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
        organization_id: str | None = None,
        where: Mapping[Dim, str | None] = EVERYTHING,
    ) -> Page[UsageRow]:
        """Usage rows, newest first."""
        await give_way(cursor)
        scope = UsageScope(tenant, user_id, organization_id, where)
        return self._readers.usage(scope, limit, cursor, since_us, until_us)

    async def usage_sums(
        self, scope: UsageScope, edges_us: Sequence[int], *, by: Sequence[Dim] = (), sums_max: int | None = None
    ) -> tuple[UsageSum, ...]:
        """Sums of usage rows; in a thread of its own, because it may be long. Raises: TooManySums."""
        return await self._beside(lambda readers: readers.usage_sums(scope, edges_us, by, sums_max))

    async def usage_top(
        self, scope: UsageScope, edges_us: Sequence[int], *, by: Sequence[Dim], limit: int, order: Order = "tokens"
    ) -> UsageTop:
        """Those that come first; in a thread of its own as well."""
        return await self._beside(lambda readers: readers.usage_top(scope, edges_us, by, limit, order))

    async def kept(self, tenant: str, kind: str, key: str | None = None) -> tuple[KeptRow, ...]:
        """Kept rows of a kind, the oldest first; of one key, or of all."""
        return self._readers.kept(tenant, kind, key)

    async def kept_count(self, tenant: str, kinds: Sequence[str]) -> int:
        """How many kept rows of these kinds there are."""
        return self._readers.kept_count(tenant, kinds)

    async def mark(self) -> int:
        """How far days are summed up by longer times."""
        return self._readers.mark()

    async def verify(self, told: Told = untold) -> list[Check]:
        """Prove the ledger's invariants, in a thread of its own, while traffic goes on."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, verify_file, self._path, self._clock_us, told
        )

    async def _beside(self, read: Callable[[Readers], T]) -> T:
        """What `read` finds on one snapshot, in a thread of its own over a connection of its own."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _read, self._path, self._clock_us, read)


def long_reads() -> ThreadPoolExecutor:
    """The threads of one store's long reads; leaving the block waits for them."""
    return ThreadPoolExecutor(LONG_READS_MAX, thread_name_prefix="ledger-read")


def _read(path: Path, clock_us: Callable[[], int], read: Callable[[Readers], T]) -> T:
    try:
        with closing(connections.reader(path)) as connection:
            connection.execute("BEGIN")
            return read(Readers(connection, clock_us))
    except sqlite3.Error as failed:
        raise unavailable(failed) from failed


_NO_SCHEMA = "storage.url: the file has no schema of this program; start the server of this version once"


def schema_problem(path: str) -> str | None:
    """Why the start refuses the file at `path`, also while a server runs on it. None: it is there with a schema that is known."""
    file = Path(path)
    try:
        with closing(connections.reader(file)) as connection:
            found = schema.revision_of(connection)
    except sqlite3.Error as failed:
        return f"cannot be read ({failed}); give another file, or put a copy of it back"
    return None if found is None or found in REVISIONS else refusal(found, is_empty=False).removeprefix("storage.url: ")


@contextmanager
def open_sqlite_reader(path: str, *, clock_us: Callable[[], int]) -> Iterator[SqliteReader]:
    """Look into the file at `path`. Raises: StoreRefused when there is none, or its schema is not this program's."""
    file = Path(path)
    if not file.is_file():
        raise StoreRefused(f"storage.url: there is no database {file.name!r} yet; start the server once")
    try:
        with closing(connections.reader(file)) as connection, long_reads() as threads:
            found = schema.revision_of(connection)
            if found != HEAD:
                raise StoreRefused(_NO_SCHEMA if found is None else refusal(found, is_empty=False))
            yield SqliteReader(file, Readers(connection, clock_us), threads, clock_us)
    except sqlite3.Error as failed:
        raise StoreRefused(f"storage.url: {file.name!r} cannot be read ({failed})") from failed
