"""The store on SQLite: opens the file, owns the lane and the readers. The meaning of commands lives in `storage/ledger`."""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from storage.errors import StoreRefused
from storage.ledger.evaluate import Group
from storage.records.commands import Command, Done, Expire, ExpireLots, Forget, Outcome, RecordUsage, Refusal
from storage.records.usage import UsageRow
from storage.sql.each import each
from storage.sql.pruning import prune
from storage.sql.remembered import Remembered
from storage.sql.sqlite import connections, schema
from storage.sql.sqlite.engine import Engine
from storage.sql.sqlite.lane import Lane
from storage.sql.sqlite.lock import only_process
from storage.sql.sqlite.readers import Readers
from storage.sql.sqlite.reading import SqliteReader, long_reads
from storage.sql.waiting import Committed, unheard
from storage.sql.weighing import weigh

# Any: options go to the engine as they are; its signature types them.

SWEEP_ROWS = 500


class SqliteStore(SqliteReader):
    """A store over one file. See `storage.store.Store` for the promises."""

    def __init__(
        self,
        path: Path,
        lane: Lane,
        readers: Readers,
        threads: Executor,
        clock_us: Callable[[], int],
        remembered: Remembered,
    ) -> None:
        super().__init__(path, readers, threads, clock_us)
        self._lane = lane
        self.remembered = remembered

    def submit(self, command: Command) -> asyncio.Future[Outcome]:
        """Apply one command; it is on disk once the future has its outcome. Cancelling the future takes nothing back."""
        return self._lane.submit(command)

    def submit_together(self, commands: Sequence[Command]) -> asyncio.Future[tuple[Done, ...] | Refusal]:
        """Apply all commands or none, in one commit."""
        return self._lane.submit(Group(tuple(commands)))

    async def submit_each(self, commands: Sequence[Command | Sequence[Command]]) -> list[Any]:
        """Apply or refuse each by itself, in few commits."""
        return await each(self._lane.submit, commands)

    async def record_usage(self, row: UsageRow) -> None:
        """Keep one usage row; it is on disk when this returns."""
        outcome = await self._lane.submit(RecordUsage(row))
        assert isinstance(outcome, Done), outcome

    async def prune(self, *, usage_before_us: int) -> int:
        """Delete what has outlived its time, a few rows in each commit. Returns how many rows went."""

        async def outlived() -> Forget:
            return self._readers.outlived(usage_before_us)

        await weigh(self.mark, self._lane.submit, self._clock_us())
        return await prune(outlived, self._lane.submit)

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


@asynccontextmanager
async def open_sqlite(
    path: str, *, clock_us: Callable[[], int], committed: Committed = unheard, **options: Any
) -> AsyncIterator[SqliteStore]:
    """Open (and create) the file at `path`; an empty path is a private database that is gone when the store closes.

    Raises: StoreRefused when the file cannot be used: held by another process, not writable, not ours, or newer than we are.
    """
    if path:
        async with _open_file(Path(path), is_durable=True, clock_us=clock_us, committed=committed, **options) as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix="tollgate-") as folder:
        file = Path(folder) / "private.db"
        async with _open_file(file, is_durable=False, clock_us=clock_us, committed=committed, **options) as store:
            yield store


@asynccontextmanager
async def _open_file(
    path: Path, *, is_durable: bool, clock_us: Callable[[], int], committed: Committed, **options: Any
) -> AsyncIterator[SqliteStore]:
    with (
        only_process(path),
        closing(_writer(path, is_durable=is_durable)) as connection,
        closing(connections.reader(path)) as reader,
        long_reads() as threads,
    ):
        readers = Readers(reader, clock_us)
        # No age: no other process writes the file, so what no commit of ours has taken out is true.
        remembered = Remembered(SqliteReader(path, readers, threads, clock_us), clock_us)
        engine = Engine(connection, clock_us, changed=remembered.changed, **options)
        lane = Lane(engine, asyncio.get_running_loop(), committed)
        store = SqliteStore(path, lane, readers, threads, clock_us, remembered)
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
