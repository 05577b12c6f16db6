"""Brings a database's schema up or down, one transaction for all of it, and says which schema it has. No rows, no commands.

Alembic and SQLAlchemy are imported here and nowhere on the path of a call.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from storage.errors import StoreRefused
from storage.sql.migrations.revisions import HEAD, REVISIONS

# Any: connections and revisions are SQLAlchemy's and alembic's own, which are not imported before they are needed.

LOCK = 0x746F6C6C6D696772
"""The advisory lock of a migration: two that start at once run one after the other."""
BASE = "base"
"""The revision before the first: no tables."""


def migrate(url: str, to: str = "head") -> None:
    """Bring the database at `url` up or down to the revision `to`: an id, `head`, or `base` for nothing at all.

    Down loses what the newer schema held. Blocks; not for an event loop. Raises: StoreRefused.
    """
    if to not in {"head", BASE, *REVISIONS}:
        raise StoreRefused(f"migrate: {to!r} is not a revision; there are {BASE}, {', '.join(REVISIONS)}")
    _over(url, lambda connection: _move(connection, HEAD if to == "head" else to))


def current(url: str) -> str | None:
    """The revision of the database at `url`; None: it has no schema of ours. Raises: StoreRefused."""
    found: list[str | None] = []
    _over(url, lambda connection: found.append(_current(connection)))
    return found[0]


def is_current(url: str) -> bool:
    """True when the database has the schema of this program. Raises: StoreRefused."""
    return current(url) == HEAD


def migrate_file(connection: sqlite3.Connection, to: str = HEAD) -> None:
    """Bring an open SQLite file to a revision over the connection that owns it. Raises: sqlite3.Error with nothing changed."""
    _on_file(connection, lambda bound: _move(bound, to))


def _over(url: str, work: Callable[[Any], object]) -> None:
    """Run `work` over a SQLAlchemy connection, in one transaction."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.removeprefix("/"):
        _over_file(Path(rest.removeprefix("/")), work)
    elif scheme in {"postgresql", "postgres"}:
        asyncio.run(_over_postgres(url, work))
    else:
        raise StoreRefused(f"storage.url: {scheme!r} is not a database that keeps a schema")


def _over_file(path: Path, work: Callable[[Any], object]) -> None:
    from storage.sql.sqlite import connections  # noqa: PLC0415  # only the backend that is named
    from storage.sql.sqlite.lock import only_process  # noqa: PLC0415  # same

    with only_process(path):
        try:
            with closing(connections.writer(path)) as connection:
                _on_file(connection, work)
        except sqlite3.Error as failed:
            raise StoreRefused(f"storage.url: {path.name!r} cannot be migrated ({failed})") from failed


def _on_file(connection: sqlite3.Connection, work: Callable[[Any], object]) -> None:
    from sqlalchemy import StaticPool, create_engine  # noqa: PLC0415  # heavy

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as bound:
        bound.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            work(bound)
        except BaseException:
            bound.exec_driver_sql("ROLLBACK")
            raise
        bound.exec_driver_sql("COMMIT")


async def _over_postgres(url: str, work: Callable[[Any], object]) -> None:
    from sqlalchemy import NullPool, text  # noqa: PLC0415  # heavy
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415  # heavy

    from storage.sql.postgres.connections import address_of, connect_first  # noqa: PLC0415  # only the backend that is named

    address = replace(address_of(url), command_seconds=None)  # what sums up millions of rows takes minutes

    async def connect() -> Any:  # the driver's connection
        return await connect_first(address)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        await connection.run_sync(work)


def _move(connection: Any, to: str) -> None:
    """Run the revisions between, on the connection's own transaction, as alembic's commands do."""
    from alembic.config import Config  # noqa: PLC0415  # heavy
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415  # heavy
    from alembic.script import ScriptDirectory  # noqa: PLC0415  # heavy

    found = _current(connection)
    if found is not None and found not in REVISIONS:
        raise StoreRefused(
            f"storage.url: the database has schema {found!r}, unknown to this program; use the one that made it"
        )
    script = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    is_up = _rank(to) >= _rank(found or BASE)

    def steps(revision: Any, _: object) -> Any:
        between = script._upgrade_revs if is_up else script._downgrade_revs  # noqa: SLF001  # what alembic.command calls
        return between(to, revision)

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()


def _rank(revision: str) -> int:
    return -1 if revision == BASE else REVISIONS.index(revision)


def _current(connection: Any) -> str | None:
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415  # heavy

    return MigrationContext.configure(connection).get_current_revision()
