"""Whether somebody between us and PostgreSQL loses prepared statements; found out at the start, not by a caller. No rows."""

import asyncio

from storage.errors import StoreRefused
from storage.sql.postgres.connections import Address, Connection, connect, is_driver_error, sqlstate

PROBE_SECONDS = 1.0
PROBES = 3
"""The pooler's other clients may come between; each probe is likely to tell."""
LOST_STATEMENT = ("26000", "42P05")
"""A prepared statement is not there, or is there already. Source: PostgreSQL, appendix A."""
_PID = "SELECT pg_backend_pid()"


async def check_pooler(address: Address, connection: Connection) -> None:
    """Return if prepared statements live as long as the connection, or none are kept.

    Raises: StoreRefused where a pooler gives each transaction another session of the server, which knows none of them.
    """
    if address.is_pooled or await _is_direct(connection):
        return
    for _ in range(PROBES):
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await _use_while_another_has_the_session(address, connection)
        except TimeoutError:
            return  # the pooler has one session to give; it cannot mix them up
        except Exception as failed:
            if not is_driver_error(failed):
                raise
            if sqlstate(failed) in LOST_STATEMENT:
                raise StoreRefused(
                    "storage.url: a pooler stands before PostgreSQL that loses prepared statements; "
                    "add ?statement_cache_size=0, or let it keep them (PgBouncer: max_prepared_statements)"
                ) from failed


async def _is_direct(connection: Connection) -> bool:
    """A pooler greets with a process id of its own invention. The statement is prepared by this."""
    same: bool = await connection.fetchval(_PID) == connection.get_server_pid()
    return same


async def _use_while_another_has_the_session(address: Address, connection: Connection) -> None:
    """A transaction of another connection takes the session that was used last; so the statement meets another one."""
    other = await connect(address)
    try:
        await other.execute("BEGIN")
        await connection.fetchval(_PID)
        await other.execute("ROLLBACK")
    finally:
        other.terminate()
