"""Old parts of windows on SQLite: found by their ids, deleted into their windows' sums. See `storage.sql.parts`."""
# ruff: noqa: S608  # statements are built from our own names, never from values

import sqlite3
from collections.abc import Sequence
from typing import Final

from storage.sql.parts import SUM_ID, oldest, sums_of

OLDEST: Final = oldest(":before", since=f"{SUM_ID + 1}", limit=":limit")
_GO = "DELETE FROM hold_window WHERE transfer_id=? AND window_id=? AND settled IS NOT NULL RETURNING window_id, settled"
_KEPT = f"SELECT window_id, settled FROM hold_window WHERE transfer_id={SUM_ID} AND window_id=?"
_KEEP = (
    "INSERT OR REPLACE INTO hold_window (transfer_id, window_id, amount, checkpoint, settled) "
    f"VALUES ({SUM_ID}, ?, 0, 0, ?)"
)


def fold(connection: sqlite3.Connection, parts: Sequence[tuple[int, int]]) -> None:
    """Delete these parts, as far as they are closed, and keep their sums. The transaction is the caller's."""
    closed = [row for part in parts for row in connection.execute(_GO, part).fetchall()]
    windows = sorted({window_id for window_id, _ in closed})
    kept = [row for window_id in windows for row in connection.execute(_KEPT, (window_id,)).fetchall()]
    connection.executemany(_KEEP, sums_of(closed, kept))
