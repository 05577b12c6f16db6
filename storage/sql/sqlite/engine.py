"""One batch, one transaction, on the writing connection. It loads, asks the pure evaluation, and stores what changed."""

import sqlite3
from collections.abc import Sequence

from storage.records.usage import UsageRow
from storage.sql.usage_rows import COLUMNS, to_columns

INSERT_USAGE = f"INSERT OR IGNORE INTO usage ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # our own names


class Engine:
    """Owns the writing connection. Only the lane's thread calls it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, commands: Sequence[UsageRow]) -> list[object]:
        """Apply all commands in one durable commit. Raises: sqlite3.Error with nothing written."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(INSERT_USAGE, [to_columns(row) for row in commands])
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return [None] * len(commands)
