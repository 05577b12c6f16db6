"""Usage rows and their roll-ups within a batch: what was really added or taken away is what the sums are raised by."""
# ruff: noqa: S608  # statements are built from our own column names, never from values

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Final

from storage.sql.rollups import (
    DIMENSIONS,
    EVERY_DAY,
    MEASURES,
    SERIES,
    SLOT,
    SLOT_KEY,
    WEIGHED,
    WEIGHT,
    WEIGHT_KEY,
    Columns,
    Dimensions,
    Ids,
    digest_of,
    dimensions_of,
    levels,
    stored,
    sums,
)
from storage.sql.usage_rows import BUCKETS, COLUMNS
from storage.sql.weighing import KEPT_SINCE, LAST_DAY, NEWEST, first_mark, kept_of, next_piece

KNOWN_MAX = 20_000
"""Combinations of dimensions whose series are remembered between batches."""
_ADD = (
    f"INSERT OR IGNORE INTO usage ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
)  # fmt: skip
_SELDOM: Final[Mapping[str, int | None]] = {
    **{f"tokens_{bucket}": 0 for bucket in BUCKETS if bucket not in ("input", "output")},
    **dict.fromkeys(("latency_us", "is_estimated", "is_partial", "is_stream"), 0),
    **dict.fromkeys(("organization_id", "first_byte_us", "metadata", "key_id", "unit", "quantity_nano")),
    **dict.fromkeys(("asked_model", "saving_nano")),
}
"""What the rows of told events mostly have in these columns: half of them, and each that is not bound saves a percent."""
_ADD_PLAIN = (
    f"INSERT OR IGNORE INTO usage ({', '.join(COLUMNS)}) VALUES ("
    + ", ".join({0: "0", None: "NULL"}[_SELDOM[name]] if name in _SELDOM else "?" for name in COLUMNS)
    + ")"
)
_often = itemgetter(*(COLUMNS.index(name) for name in COLUMNS if name not in _SELDOM))
_seldom = itemgetter(*(COLUMNS.index(name) for name in COLUMNS if name in _SELDOM))
_PLAIN: Final = tuple(_SELDOM[name] for name in COLUMNS if name in _SELDOM)
_FIND = f"SELECT {', '.join(COLUMNS)} FROM usage WHERE id=?"
_TAKE = "DELETE FROM usage WHERE id=?"
_ADDED = "SELECT id FROM usage WHERE seq>?"
_LAST = "SELECT coalesce(max(seq), 0) FROM usage"
MARK = "INSERT OR REPLACE INTO pruned (resource, before_us) VALUES ('weighed', ?)"
_SERIES = "SELECT id FROM usage_series WHERE digest=?"
_SERIES_NEW = f"INSERT INTO usage_series ({', '.join(SERIES[1:])}) VALUES (?, ?, {', '.join('?' * len(DIMENSIONS))})"


def _raising(table: str, columns: Sequence[str], key: Sequence[str], raised: Sequence[str]) -> str:
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(f'{name}={name}+excluded.{name}' for name in raised)}"
    )


RAISE = _raising("usage_slot", SLOT, SLOT_KEY, MEASURES)
WEIGH = _raising("usage_weight", WEIGHT, WEIGHT_KEY, WEIGHED)


class UsageWriter:
    """Writes the usage rows of batches. It remembers which series there are."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[Dimensions, Ids] = {}
        self._mark: int | None = None

    def forget(self) -> None:
        """The transaction was undone: series that it made are not there."""
        self._known.clear()
        self._mark = None

    def weigh(self, before_us: int) -> None:
        """Sum up a piece of the days that ended before this instant."""
        execute, mark = self._connection.execute, self._weighed()
        if mark == EVERY_DAY:
            ((last_day_us,),) = execute(LAST_DAY)
            mark = first_mark(last_day_us, before_us)
        else:
            ((newest,),) = execute(NEWEST)
            piece = next_piece(mark, newest, before_us)
            if piece is None:
                return
            for statement in piece.statements():
                execute(statement)
            mark = piece.mark
        execute(MARK, (mark,))
        self._mark = mark

    def _weighed(self) -> int:
        if self._mark is None:
            self._mark = kept_of(self._connection.execute(KEPT_SINCE)).mark
        return self._mark

    def write(self, rows: Sequence[Columns], replaced: Iterable[str]) -> None:
        """Take the replaced rows away, add those that are not there yet, and bring the sums along."""
        gone = self._taken(replaced)
        added = self._added(rows)
        changed = [(columns, True) for columns in gone] + [(columns, False) for columns in added]
        self._learn(columns for columns, _ in changed)
        if changed:
            slots, weights = sums(changed, self._known, self._weighed())
            self._connection.executemany(RAISE, slots)
            if weights:
                self._connection.executemany(WEIGH, weights)

    def _taken(self, replaced: Iterable[str]) -> list[Columns]:
        execute, gone = self._connection.execute, []
        for row_id in dict.fromkeys(replaced):
            gone += execute(_FIND, (row_id,)).fetchall()
            execute(_TAKE, (row_id,))
        return gone

    def _added(self, rows: Sequence[Columns]) -> Sequence[Columns]:
        connection = self._connection
        ((last,),) = connection.execute(_LAST)
        before = connection.total_changes
        is_plain = all(map(_PLAIN.__eq__, map(_seldom, rows)))
        connection.executemany(*(_ADD_PLAIN, map(_often, rows)) if is_plain else (_ADD, rows))
        if connection.total_changes - before == len(rows):
            return rows
        return stored(rows, (row_id for (row_id,) in connection.execute(_ADDED, (last,))))

    def _learn(self, rows: Iterable[Columns]) -> None:
        known = self._known
        if len(known) > KNOWN_MAX:
            known.clear()
        for columns in rows:
            dimensions = dimensions_of(columns)
            if dimensions not in known:
                tenant, user, who = (self._series(level, found) for level, found in enumerate(levels(dimensions)))
                known[dimensions] = (tenant, user, who)

    def _series(self, level: int, dimensions: Dimensions) -> int:
        digest = digest_of(level, dimensions)
        found = self._connection.execute(_SERIES, (digest,)).fetchone()
        if found is None:
            return self._connection.execute(_SERIES_NEW, (digest, level, *dimensions)).lastrowid or 0
        return int(found[0])
