"""The invariants' queries over snapshots of PostgreSQL, read in pieces while traffic goes on."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Final, TypeVar

from storage.records.ledger import Check, Told, untold
from storage.sql.books import PIECE
from storage.sql.postgres.connections import Connection
from storage.sql.usage_questions import POSTGRES, Dialect
from storage.sql.verify import verify

# Any: rows are the driver's; the tables give their types.

Found = TypeVar("Found")

STATEMENT_SECONDS: Final = 3600.0
"""A sum over all transfers may take its time; nothing waits for it."""
COMMIT_US: Final = 5_000_000
"""So old a snapshot may get: rows that change often leave what it still sees behind, and grow."""
FETCHED: Final = 5_000
"""Rows that are in memory at once, for each query that is being read."""
_SETTINGS: Final = "SET LOCAL work_mem='64MB'; SET LOCAL jit=off; LOCK TABLE usage IN ACCESS SHARE MODE"
"""Sorts in memory, where they fit; no compiler for statements that run a second; and from the first moment on no month goes."""


class PostgresBooks:
    """A database over one connection, for a thread beside the loop that the connection lives on."""

    dialect: Dialect = POSTGRES
    are_ids_in_order = False

    def __init__(self, connection: Connection, clock_us: Callable[[], int], piece: int, commit_us: int) -> None:
        self.piece = piece
        self._connection = connection
        self._clock_us = clock_us
        self._commit_us = commit_us
        self._loop = asyncio.get_running_loop()
        self._transaction: Any = None  # the driver's
        self._begun_us = 0

    def __call__(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """The rows of one statement, as they are read."""
        cursor = self._wait(self._open(statement, values))
        while piece := self._wait(cursor.fetch(FETCHED, timeout=STATEMENT_SECONDS)):
            yield from map(tuple, piece)

    def among(self, ids: Sequence[int]) -> tuple[str, object]:
        """A condition for a column that must be one of these."""
        return "= ANY($1::bigint[])", list(ids)

    def renew(self) -> None:
        """Let go of a snapshot that is no longer new, and of the old rows with it."""
        if self._clock_us() - self._begun_us >= self._commit_us:
            self._wait(self.begin())

    async def begin(self) -> None:
        """Read what is committed now."""
        if self._transaction is not None:
            await self._transaction.rollback()
        self._transaction = self._connection.transaction(isolation="repeatable_read", readonly=True)
        await self._transaction.start()
        await self._connection.execute(_SETTINGS)
        self._begun_us = self._clock_us()

    def _wait(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self, statement: str, values: Sequence[object]) -> Any:  # the driver's cursor
        return await self._connection.cursor(statement, *values, timeout=STATEMENT_SECONDS)


async def verify_over(
    connection: Connection,
    clock_us: Callable[[], int],
    told: Told = untold,
    *,
    piece: int = PIECE,
    commit_us: int = COMMIT_US,
) -> list[Check]:
    """Every check, in a thread of its own; the queries run on this loop, over a connection without a transaction."""
    books = PostgresBooks(connection, clock_us, piece, commit_us)
    await books.begin()
    return await asyncio.to_thread(verify, books, told)
