"""The invariants' queries over one snapshot of PostgreSQL, read in pieces while traffic goes on."""

import asyncio
from collections.abc import Iterator
from typing import Any

from storage.records.ledger import Check
from storage.sql.postgres.connections import Connection
from storage.sql.verify import verify

# Any: rows are the driver's; the tables give their types.

STATEMENT_SECONDS = 3600.0
"""A sum over all transfers may take its time; nothing waits for it."""
PIECE = 5_000
"""Rows that are in memory at once, for each query that is being read."""


async def verify_over(connection: Connection) -> list[Check]:
    """Every check, in a thread of its own; the queries run on this loop. The connection is inside a read-only snapshot."""
    loop = asyncio.get_running_loop()
    await connection.execute("LOCK TABLE usage IN ACCESS SHARE MODE")  # from the first moment on no month goes

    def select(statement: str) -> Iterator[tuple[Any, ...]]:
        cursor = asyncio.run_coroutine_threadsafe(_open(connection, statement), loop).result()
        while piece := asyncio.run_coroutine_threadsafe(cursor.fetch(PIECE, timeout=STATEMENT_SECONDS), loop).result():
            yield from map(tuple, piece)

    return await asyncio.to_thread(verify, select)


async def _open(connection: Connection, statement: str) -> Any:  # the driver's cursor
    return await connection.cursor(statement, timeout=STATEMENT_SECONDS)
