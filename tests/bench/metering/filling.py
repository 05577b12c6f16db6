"""Filling a store with a history as it would lie there, rows and sums, but thousands of times faster than calls could.

The shapes are the product's own; only the statements are here, because the product never writes a year at once.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from storage.sql.postgres import series as postgres_series
from storage.sql.postgres.connections import Connection, address_of, connect
from storage.sql.postgres.months import creation, month_of
from storage.sql.postgres.statements import arrays
from storage.sql.rollups import (
    DAY,
    SERIES,
    SLOT,
    WEIGHT,
    Dimensions,
    Ids,
    Slot,
    digest_of,
    dimensions_of,
    levels,
    mark_of,
    sums,
)
from storage.sql.sqlite import schema
from storage.sql.sqlite import series as sqlite_series
from storage.sql.usage_rows import COLUMNS, to_columns
from tests.bench.metering.history import History

Row = tuple[object, ...]
_NEXT_SERIES = "SELECT setval(pg_get_serial_sequence('usage_series', 'id'), (SELECT max(id) FROM usage_series))"
_INDEXES = ("usage_by_user", "usage_by_time", "usage_by_organization")


class SeriesIds:
    """Gives series their ids as they come up."""

    def __init__(self) -> None:
        self.known: dict[Dimensions, Ids] = {}
        self._ids: dict[tuple[int, Dimensions], int] = {}

    def new(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of `usage_series` that these usage rows need and that nobody has asked for yet."""
        made: list[Row] = []
        for columns in rows:
            dimensions = dimensions_of(columns)
            if dimensions not in self.known:
                tenant, user, who = (self._id(level, found, made) for level, found in enumerate(levels(dimensions)))
                self.known[dimensions] = (tenant, user, who)
        return made

    def _id(self, level: int, dimensions: Dimensions, made: list[Row]) -> int:
        found = self._ids.get((level, dimensions))
        if found is None:
            found = self._ids[level, dimensions] = len(self._ids) + 1
            made.append((found, digest_of(level, dimensions), level, *dimensions))
        return found


def days_of(history: History) -> Iterator[tuple[list[Row], list[Row], list[Slot], list[Slot]]]:
    """For each UTC day that holds rows: the rows, the series that are new, what slots are raised by, and weights."""
    series, mark = SeriesIds(), mark_of(history.until_us, 0)  # as the server's job leaves it: all days but the last
    waiting: list[Row] = []
    for rows in history.days():
        waiting += [to_columns(row) for row in rows]
        waiting, whole = _split(waiting)
        if whole:
            yield whole, series.new(whole), *sums(((columns, False) for columns in whole), series.known, mark)
    if waiting:
        yield waiting, series.new(waiting), *sums(((columns, False) for columns in waiting), series.known, mark)


def _split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Those of the last day that is there, which may get more, and those of the days before."""
    at = COLUMNS.index("occurred_us")
    days = [int(str(row[at])) // 86_400_000_000 for row in rows]
    last = max(days, default=0)
    return (
        [row for row, day in zip(rows, days, strict=True) if day == last],
        [row for row, day in zip(rows, days, strict=True) if day != last],
    )


def fill_sqlite(path: Path, history: History) -> None:
    """Make the file at `path`, which is not there yet."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        schema.ensure(connection)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-2000000")
        indexes = [
            str(sql) for name in _INDEXES
            for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE name=?", (name,))
        ]  # fmt: skip
        for name in _INDEXES:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("BEGIN")
        for rows, series, slots, weights in days_of(history):
            for table, names, values in (("usage_series", SERIES, series), ("usage", COLUMNS, rows)):
                marks = ", ".join("?" * len(names))
                connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values)  # noqa: S608  # our own names
            connection.executemany(sqlite_series.RAISE, slots)
            connection.executemany(sqlite_series.WEIGH, weights)
        connection.execute(sqlite_series.MARK, (mark_of(history.until_us, 0),))
        for sql in indexes:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def fill_postgres(url: str, history: History) -> None:
    """Fill a database that has the schema and no rows."""
    connection = await connect(address_of(url))
    try:
        indexes = [await _index(connection, name) for name in _INDEXES]
        for name in _INDEXES:
            await connection.execute(f"DROP INDEX {name}")
        at, there = COLUMNS.index("occurred_us"), set[str]()
        for rows, series, slots, weights in days_of(history):
            for month in {month_of(int(str(row[at]))) for row in (rows[0], rows[-1])}:
                if month.name not in there:
                    await connection.execute(creation(month))
                    there.add(month.name)
            await _copied(connection, "usage_series", SERIES, series)
            await _copied(connection, "usage", COLUMNS, rows)
            # A day's own sums are new; longer ones are there from the day before.
            await _copied(connection, "usage_slot", SLOT, [slot for slot in slots if slot[1] <= DAY])
            await _copied(connection, "usage_weight", WEIGHT, [weight for weight in weights if weight[0] == DAY])
            if weights:
                await connection.execute(postgres_series.RAISE, *arrays(slot for slot in slots if slot[1] > DAY))
                await connection.execute(
                    postgres_series.WEIGH, *arrays(weight for weight in weights if weight[0] > DAY)
                )
        await connection.execute(postgres_series.MARK, mark_of(history.until_us, 0))
        for sql in indexes:
            await connection.execute(sql, timeout=3600.0)
        await connection.execute(
            "SELECT setval(pg_get_serial_sequence('usage_series', 'id'), (SELECT max(id) FROM usage_series))"
        )
        await connection.execute("ANALYZE", timeout=3600.0)
    finally:
        await connection.close()


async def _index(connection: Connection, name: str) -> str:
    said = await connection.fetchval("SELECT pg_get_indexdef($1::text::regclass)", name)
    return str(said).replace(" ON ONLY ", " ON ")


async def _copied(connection: Connection, table: str, names: Sequence[str], rows: Sequence[Row]) -> None:
    if rows:
        await connection.copy_records_to_table(table, records=rows, columns=list(names), timeout=600.0)
