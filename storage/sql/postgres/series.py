"""Usage rows and their roll-ups within a batch: what was really added or taken away is what the sums are raised by.

Series are made before the batch's transaction, so that two processes that need the same new one do not wait for each other's
commits; only those of rows that evaluation itself wrote (a hold's expiry) are made inside it. Slots, then weights, are raised in
the order of their keys and last of all, so that processes that meet in one wait in one direction.
"""
# ruff: noqa: S608  # statements are built from our own column names, never from values

from collections.abc import Iterable, Sequence

from storage.ledger.evaluate import Told, singles
from storage.records.commands import Charge, RecordUsage, Release, Settle
from storage.records.usage import UsageRow
from storage.sql.postgres.connections import Connection
from storage.sql.postgres.statements import arrays, insert
from storage.sql.rollups import (
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
from storage.sql.usage_rows import COLUMNS, to_columns
from storage.sql.weighing import LAST_DAY, NEWEST, first_mark, next_piece, raising

KNOWN_MAX = 50_000
"""Combinations of dimensions whose series are remembered between batches."""
_ADD = insert(
    "usage",
    COLUMNS,
    f"AS v({', '.join(COLUMNS)}) WHERE NOT EXISTS (SELECT 1 FROM usage u WHERE u.id=v.id) "
    "ON CONFLICT DO NOTHING RETURNING id",
)
"""An id is there once in all partitions: two rows of one id come from one call, whose account's lock puts them in order, or from
one event, whose time is in its id."""
_TAKE = f"DELETE FROM usage WHERE id=ANY($1::text[]) RETURNING {', '.join(COLUMNS)}"
_MARK_SHARED = "SELECT before_us FROM pruned WHERE resource='weighed' FOR SHARE"
_MARK_TAKEN = "SELECT before_us FROM pruned WHERE resource='weighed' FOR UPDATE"
_MARK_MADE = "INSERT INTO pruned (resource, before_us) VALUES ('weighed', $1) ON CONFLICT DO NOTHING"
MARK = (
    "INSERT INTO pruned (resource, before_us) VALUES ('weighed', $1) "
    "ON CONFLICT (resource) DO UPDATE SET before_us=excluded.before_us"
)
_SERIES = "SELECT digest, id FROM usage_series WHERE digest=ANY($1::text[])"
_SERIES_NEW = insert("usage_series", SERIES[1:], "ON CONFLICT (digest) DO NOTHING")


RAISE = insert("usage_slot", SLOT, raising("usage_slot", SLOT_KEY, MEASURES))
WEIGH = insert("usage_weight", WEIGHT, raising("usage_weight", WEIGHT_KEY, WEIGHED))


class Series:
    """Which series a row belongs to. Of one process; only its batches come here, one at a time."""

    def __init__(self) -> None:
        self.known: dict[Dimensions, Ids] = {}

    def forget(self) -> None:
        """A transaction was undone: series that it made are not there."""
        self.known.clear()

    async def learn(self, connection: Connection, rows: Iterable[Columns]) -> None:
        """Know the series of these rows; make those that are not there."""
        if len(self.known) > KNOWN_MAX:
            self.known.clear()
        new = {found for columns in rows if (found := dimensions_of(columns)) not in self.known}
        if not new:
            return
        wanted = {
            digest_of(level, found): (level, *found)
            for dimensions in new
            for level, found in enumerate(levels(dimensions))
        }
        ids = dict(await connection.fetch(_SERIES, list(wanted)))
        missing = sorted(digest for digest in wanted if digest not in ids)
        if missing:
            await connection.execute(_SERIES_NEW, *arrays((digest, *wanted[digest]) for digest in missing))
            ids.update(await connection.fetch(_SERIES, missing))
        for dimensions in new:
            tenant, user, who = (ids[digest_of(level, found)] for level, found in enumerate(levels(dimensions)))
            self.known[dimensions] = (tenant, user, who)


class UsageWriter:
    """Writes one batch's usage rows inside its transaction."""

    def __init__(self, connection: Connection, series: Series) -> None:
        self._connection = connection
        self._series = series
        self._changed: list[tuple[Columns, bool]] = []

    async def write(self, rows: Sequence[Columns], replaced: Sequence[str]) -> None:
        """Take the replaced rows away, and add those that are not there yet, in the order of their ids."""
        if replaced:
            gone = await self._connection.fetch(_TAKE, list(replaced))
            self._changed += [(tuple(columns), True) for columns in gone]
        if rows:
            firsts = {columns[0]: columns for columns in reversed(rows)}  # of one id the first, whatever their times
            ordered = [firsts[row_id] for row_id in sorted(firsts)]
            added = [row_id for (row_id,) in await self._connection.fetch(_ADD, *arrays(ordered))]
            found = ordered if len(added) == len(ordered) else stored(ordered, added)
            self._changed += [(columns, False) for columns in found]
        await self._series.learn(self._connection, (columns for columns, _ in self._changed))

    async def raise_sums(self) -> None:
        """Bring the sums along. Other processes that raise the same sums wait from here to the commit."""
        if self._changed:
            mark = await self._connection.fetchval(
                _MARK_SHARED
            )  # before any sum is raised: who moves it comes first too
            slots, weights = sums(self._changed, self._series.known, EVERY_DAY if mark is None else mark)
            await self._connection.execute(RAISE, *arrays(slots))
            if weights:
                await self._connection.execute(WEIGH, *arrays(weights))

    async def weigh(self, before_us: int) -> None:
        """Sum up a piece of the days that ended before this instant. Who raises sums meanwhile waits for the commit."""
        execute, fetchval = self._connection.execute, self._connection.fetchval
        await execute(_MARK_MADE, EVERY_DAY)
        mark = await fetchval(_MARK_TAKEN)
        if mark == EVERY_DAY:
            mark = first_mark(await fetchval(LAST_DAY), before_us)
        else:
            piece = next_piece(mark, await fetchval(NEWEST), before_us)
            if piece is None:
                return
            for statement in piece.statements():
                await execute(statement)
            mark = piece.mark
        await execute(MARK, mark)


def told_of(commands: Iterable[Told]) -> list[Columns]:
    """The usage rows that come with commands."""
    found: list[UsageRow | None] = []
    for single in singles(commands):
        match single:
            case RecordUsage(row=row):
                found.append(row)
            case Settle(usage=row) | Release(usage=row) | Charge(usage=row):
                found.append(row)
    return [to_columns(row) for row in found if row is not None]
