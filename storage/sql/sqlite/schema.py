"""The embedded file's schema: created on first use, brought up to date by itself, refused when this program does not know it.

Its revision stands where alembic keeps it, so that a file made here and a file made by `tollgate migrate` are the same.
"""

import sqlite3

from storage.errors import StoreRefused
from storage.sql.migrations.revisions import HEAD, REVISIONS, refusal
from storage.sql.sqlite.ddl import STATEMENTS

_KEPT_IN = (
    "CREATE TABLE IF NOT EXISTS alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def ensure(connection: sqlite3.Connection) -> None:
    """Bring the file to this program's revision in one transaction. Raises: StoreRefused for a revision it does not know."""
    found = revision_of(connection)
    if found == HEAD:
        return
    if found is None:
        _create(connection)
    elif found in REVISIONS:
        from storage.sql.migrating import migrate_file  # noqa: PLC0415  # heavy, and only where a file is old

        migrate_file(connection)
    else:
        raise StoreRefused(refusal(found, is_empty=False))


def revision_of(connection: sqlite3.Connection) -> str | None:
    """The file's revision. None: it has no schema yet, or one from before revisions were kept."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name='alembic_version'").fetchone():
        return None
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else None


def _create(connection: sqlite3.Connection) -> None:
    """Make what is not there: the tables of today need no history."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in (*STATEMENTS, _KEPT_IN):
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version (version_num) VALUES (?)", (HEAD,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
