"""The invariants' queries over a SQLite file, commit after commit, so that its log can be written back meanwhile."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from storage.records.ledger import Check, Told, untold
from storage.sql.books import PIECE, Rows
from storage.sql.sqlite import connections
from storage.sql.usage_questions import SQLITE, Dialect
from storage.sql.verify import verify
from storage.sql.waiting import unavailable

# Any: rows are the driver's; the tables give their types.

COMMIT_US: Final = 1_000_000
"""So old the commit that is read may get: the log cannot be written back past it."""
PAUSES_MAX: Final = 100
PAUSE_SECONDS: Final = 0.02
"""How often and long nothing is read while the log is too long: it starts anew once all is written back and nobody reads."""
CACHE_KIB: Final = 65_536
"""Pages and sorted rows in memory; what is more to sort goes to temporary files."""


class SqliteBooks:
    """A file over one read-only connection, inside a transaction."""

    dialect: Dialect = SQLITE
    are_ids_in_order = True

    def __init__(
        self, path: Path, connection: sqlite3.Connection, clock_us: Callable[[], int], piece: int, commit_us: int
    ) -> None:
        self.piece = piece
        self._log = path.with_name(f"{path.name}-wal")
        self._log_bytes = self._length()
        self._connection = connection
        self._clock_us = clock_us
        self._commit_us = commit_us
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("BEGIN")
        self._begun_us = self._clock_us()

    def __call__(self, statement: str, *values: object) -> Rows:
        """The rows of one statement, as they are read."""
        found: Any = self._connection.execute(statement, values)
        return found  # type: ignore[no-any-return]  # a cursor is its rows

    def among(self, ids: Sequence[int]) -> tuple[str, object]:
        """A condition for a column that must be one of these."""
        return "IN (SELECT value FROM json_each(?1))", json.dumps(ids)

    def renew(self) -> None:
        """Let go of a commit that is no longer new, and of the log with it."""
        if self._clock_us() - self._begun_us < self._commit_us:
            return
        self._connection.execute("ROLLBACK")
        self._make_way()
        self._connection.execute("BEGIN")
        self._begun_us = self._clock_us()

    def _make_way(self) -> None:
        """Wait for the log to start anew, if it is long and somebody makes it longer."""
        before, self._log_bytes = self._log_bytes, self._length()
        for _ in range(PAUSES_MAX):
            if self._log_bytes <= max(before, connections.LOG_BYTES):
                return
            time.sleep(PAUSE_SECONDS)
            self._log_bytes = self._length()

    def _length(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0


def verify_file(
    path: Path,
    clock_us: Callable[[], int],
    told: Told = untold,
    *,
    piece: int = PIECE,
    commit_us: int = COMMIT_US,
) -> list[Check]:
    """Every check of the file at `path`. Raises: StorageUnavailable."""
    try:
        with closing(connections.reader(path)) as connection:
            return verify(SqliteBooks(path, connection, clock_us, piece, commit_us), told)
    except sqlite3.Error as failed:
        raise unavailable(failed) from failed
