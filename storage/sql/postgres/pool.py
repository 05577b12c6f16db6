"""The reading connections: a fixed number, each read in a transaction where a pooler stands between. No statements of ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from storage.errors import StorageUnavailable
from storage.sql.postgres.connections import (
    CLOSE_SECONDS,
    Address,
    Connection,
    close,
    connect,
    connect_options,
    driver,
    is_driver_error,
)
from storage.sql.waiting import unavailable

# Any: rows are the driver's; the tables give their types.

WAIT_SECONDS = 3.0
"""How long a read waits for a free connection."""
T = TypeVar("T")


class Pool:
    """Connections that only read."""

    def __init__(self, address: Address, pool: Any) -> None:
        self._address = address
        self._pool = pool

    async def fetch(self, statement: str, *values: Any) -> list[Any]:
        """The rows of one statement. Raises: StorageUnavailable."""

        async def read(connection: Connection) -> list[Any]:
            found: list[Any] = await connection.fetch(statement, *values)
            return found

        return await self._read(read, in_transaction=self._address.is_pooled)

    async def snapshot(self, read: Callable[[Connection], Awaitable[T]]) -> T:
        """What `read` returns over one connection on which all statements see the same commit. Raises: StorageUnavailable."""
        return await self._read(read, in_transaction=True)

    async def alone(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` returns over a connection of its own, outside of a transaction. Raises: StorageUnavailable."""
        try:
            connection = await connect(self._address)
            try:
                return await work(connection)
            finally:
                await close(connection)
        except (OSError, TimeoutError) as failed:
            raise unavailable(failed) from failed
        except Exception as failed:
            if is_driver_error(failed):
                raise unavailable(failed) from failed
            raise

    async def _read(self, read: Callable[[Connection], Awaitable[T]], *, in_transaction: bool) -> T:
        for is_last in (False, True):
            try:
                async with self._pool.acquire(timeout=WAIT_SECONDS) as connection:
                    if not in_transaction:
                        return await read(connection)
                    async with connection.transaction(isolation="repeatable_read", readonly=True):
                        return await read(connection)
            except (OSError, TimeoutError) as failed:
                if is_last or isinstance(failed, TimeoutError):
                    raise unavailable(failed) from failed
            except Exception as failed:
                if not is_driver_error(failed):
                    raise
                if is_last:
                    raise unavailable(failed) from failed
        raise StorageUnavailable


@asynccontextmanager
async def open_pool(address: Address) -> AsyncIterator[Pool]:
    """A pool that connects when it is first used, and again after a connection was lost."""
    pool = driver().create_pool(min_size=0, max_size=address.readers, reset=_nothing, **connect_options(address))
    await pool  # connects nothing yet: the smallest size is none
    try:
        yield Pool(address, pool)
    finally:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()
        except (OSError, TimeoutError):
            pool.terminate()


async def _nothing(connection: Connection) -> None:
    """Our reads leave nothing in a session, so there is nothing to reset."""
