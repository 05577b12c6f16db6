"""The embedded file's schema: created on first use, brought up to date by itself, refused when it is newer than this program."""

import sqlite3

from storage.errors import StoreRefused

VERSION = 3
"""1: usage rows only. 2: the ledger. 3: kept rows, usage by time."""


def ensure(connection: sqlite3.Connection) -> None:
    """Bring the file to `VERSION` in one transaction. Raises: StoreRefused for a file of a newer program."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise StoreRefused(
            f"storage.url: the file has schema {found}, this program knows {VERSION}; run a newer Tollgate"
        )
    if found == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements():
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def statements() -> list[str]:
    """The DDL of every table and index. The tables' library is loaded here, and so only where a file is new."""
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415  # heavy
    from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415  # heavy

    from storage.sql.tables import metadata  # noqa: PLC0415  # heavy

    dialect = sqlite.dialect()
    found: list[str] = []
    for table in metadata.sorted_tables:
        found.append(str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)))
        found += [
            str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    return found
