"""The one writing connection of a process: opened when needed, dropped when broken, and why a statement failed."""

import asyncio
from enum import Enum, auto

from storage.errors import StoreRefused
from storage.sql.migrations.revisions import HEAD, refusal
from storage.sql.postgres.connections import Address, Connection, close, connect, is_driver_error, sqlstate
from storage.sql.waiting import unavailable

PAUSE_SECONDS = 0.25
"""After a refused connection every command is refused at once for this long, instead of waiting for the next refusal."""
_VERSION = "SELECT version_num FROM alembic_version"
_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname=current_schema()"
_AGAIN = ("23505", "23514", "40001", "40P01")
"""Another process was first; what it wrote is visible now. 23514: it dropped the month that a row belongs to."""
_AWAY = ("08", "25006", "26000", "42501", "42P01", "42P05", "53", "55", "57", "58", "XX")
"""Connection, read-only, rights, tables gone, resources (disk full), locks, shutdown, input and output, corruption; and a
statement that is not prepared, or is already, behind a pooler."""


class Failure(Enum):
    """What to do after a statement failed."""

    LOST = auto()
    """The connection is broken; whatever was not committed is undone."""
    AGAIN = auto()
    """Roll back and repeat."""
    AWAY = auto()
    """The database cannot write now."""
    OURS = auto()
    """One of the commands holds what cannot be stored."""


def failure_of(error: BaseException, connection: Connection) -> Failure:
    """Why it failed."""
    if isinstance(error, OSError | TimeoutError) or connection.is_closed():
        return Failure.LOST
    state = sqlstate(error)
    if state in _AGAIN:
        return Failure.AGAIN
    return Failure.AWAY if state.startswith(_AWAY) else Failure.OURS


async def check_schema(connection: Connection) -> None:
    """Return if the database has the schema of this program. Raises: StoreRefused in one line."""
    try:
        found = await connection.fetch(_VERSION)
    except Exception as failed:
        if sqlstate(failed) != "42P01":
            raise
        tables = await connection.fetchval(_TABLES)
        raise StoreRefused(refusal(None, is_empty=not tables)) from failed
    version = found[0][0] if found else None
    if version != HEAD:
        raise StoreRefused(refusal(version, is_empty=version is None))


class Session:
    """Owns the writing connection."""

    def __init__(self, address: Address, connection: Connection) -> None:
        self._address = address
        self._connection: Connection | None = connection
        self._not_before = 0.0
        self._refused: BaseException = ConnectionError()

    async def connection(self) -> Connection:
        """The connection, opened anew when it was lost. Raises: StorageUnavailable within seconds."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if asyncio.get_running_loop().time() < self._not_before:
            raise unavailable(self._refused)
        self._connection = None
        try:
            connection = await connect(self._address)
            try:
                await check_schema(connection)
            except BaseException:
                connection.terminate()
                raise
        except Exception as failed:
            if not isinstance(failed, OSError | TimeoutError | StoreRefused) and not is_driver_error(failed):
                raise
            self._refused = failed
            self._not_before = asyncio.get_running_loop().time() + PAUSE_SECONDS
            raise unavailable(failed) from failed
        self._connection = connection
        return connection

    def drop(self) -> None:
        """Forget a connection whose state is unknown; the server undoes what was not committed."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def rollback(self) -> None:
        """Undo the open transaction."""
        if self._connection is None:
            return
        try:
            await self._connection.execute("ROLLBACK")
        except Exception as failed:
            self.drop()
            if not isinstance(failed, OSError | TimeoutError) and not is_driver_error(failed):
                raise

    async def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            await close(self._connection)
            self._connection = None
