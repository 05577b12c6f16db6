"""The store on SQLite: opens the file, owns the lane and the readers. The meaning of commands lives in `storage/ledger`."""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from storage.errors import StoreRefused
from storage.records.usage import UsageRow
from storage.sql.sqlite import connections, schema
from storage.sql.sqlite.engine import Engine
from storage.sql.sqlite.lane import Lane, unavailable
from storage.sql.sqlite.lock import only_process


class SqliteStore:
    """A store over one file. See `storage.store.Store` for the promises."""

    def __init__(self, lane: Lane, reader: sqlite3.Connection, clock_us: Callable[[], int]) -> None:
        self._lane = lane
        self._reader = reader
        self._clock_us = clock_us

    async def record_usage(self, row: UsageRow) -> None:
        """Keep one usage row; it is on disk when this returns."""
        await self._lane.submit(row)

    async def ping(self) -> None:
        """Return if the file answers. Raises: StorageUnavailable."""
        try:
            self._reader.execute("SELECT 1 FROM usage LIMIT 1").fetchone()
        except sqlite3.Error as failed:
            raise unavailable(failed) from failed


@asynccontextmanager
async def open_sqlite(path: str, *, clock_us: Callable[[], int]) -> AsyncIterator[SqliteStore]:
    """Open (and create) the file at `path`; an empty path is a private database that is gone when the store closes.

    Raises: StoreRefused when the file cannot be used: held by another process, not writable, not ours, or newer than we are.
    """
    if path:
        async with _open_file(Path(path), is_durable=True, clock_us=clock_us) as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix="tollgate-") as folder:
        async with _open_file(Path(folder) / "private.db", is_durable=False, clock_us=clock_us) as store:
            yield store


@asynccontextmanager
async def _open_file(path: Path, *, is_durable: bool, clock_us: Callable[[], int]) -> AsyncIterator[SqliteStore]:
    with (
        only_process(path),
        closing(_writer(path, is_durable=is_durable)) as connection,
        closing(connections.reader(path)) as reader,
    ):
        lane = Lane(Engine(connection).run, asyncio.get_running_loop())
        try:
            yield SqliteStore(lane, reader, clock_us)
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
