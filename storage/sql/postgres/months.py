"""The partitions of usage on PostgreSQL, one for each month (UTC): made before a month has its first row, dropped whole.

No job makes them, so none can be missed: whoever writes a row sees to it that its month is there, and that the next one is.
"""
# ruff: noqa: S608  # statements are built from our own names and numbers, never from values

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from storage.sql.postgres.connections import Connection, sqlstate

LOCK: Final = 0x746F6C6C6D6F6E74
"""The advisory lock of whoever makes a partition."""
AHEAD_US: Final = 7 * 24 * 3600 * 1_000_000
"""A month is made so long before it begins."""
LAST_US: Final = 253_402_300_800_000_000
"""The year 10000: from there on one partition holds all."""
_THERE = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid=i.inhrelid WHERE i.inhparent='usage'::regclass"
_DROP_MILLISECONDS: Final = 300
"""A drop waits for readers and keeps others waiting meanwhile: not longer than this; the next prune tries again."""
_LOCKED = "55P03"


class Month(NamedTuple):
    """A partition: its name, and its rows' times from (included) to (not)."""

    name: str
    since_us: int
    until_us: int


def month_of(at_us: int) -> Month:
    """The partition of an instant."""
    if at_us < 0:
        return Month("usage_before", -(2**63), 0)
    if at_us >= LAST_US:
        return Month("usage_after", LAST_US, 2**63 - 1)
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    year, month = at.year + at.month // 12, at.month % 12 + 1
    until_us = LAST_US if year > 9999 else _micros(year, month)  # noqa: PLR2004  # the last that a datetime knows
    return Month(f"usage_y{at.year:04}m{at.month:02}", _micros(at.year, at.month), until_us)


def _micros(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1_000_000


def creation(month: Month) -> str:
    """What makes a partition if it is not there. Attached instead of made in place, so that it waits for no reader."""
    since = "MINVALUE" if month.since_us < 0 else str(month.since_us)
    until = "MAXVALUE" if month.since_us >= LAST_US else str(month.until_us)
    return (
        f"DO $$ BEGIN PERFORM pg_advisory_xact_lock({LOCK}); IF to_regclass('{month.name}') IS NULL THEN "
        f"CREATE TABLE {month.name} (LIKE usage INCLUDING ALL); "
        f"ALTER TABLE usage ATTACH PARTITION {month.name} FOR VALUES FROM ({since}) TO ({until}); END IF; END $$"
    )


class Months:
    """Which partitions there are, as far as this process knows."""

    def __init__(self) -> None:
        self._known: dict[str, Month] = {}

    def forget(self) -> None:
        """Another process may have dropped some."""
        self._known.clear()

    async def ensure(self, connection: Connection, instants_us: Iterable[int], now_us: int) -> None:
        """Have the partitions of these instants, of now and of what comes next. Outside of a transaction."""
        known = self._known.values()
        new = [
            at_us
            for at_us in (*instants_us, now_us, now_us + AHEAD_US)
            if not any(month.since_us <= at_us < month.until_us for month in known)
        ]
        if not new:
            return
        there = {name for (name,) in await connection.fetch(_THERE)}
        for month in {month_of(at_us) for at_us in new}:
            if month.name not in there:
                await connection.execute(creation(month))
            self._known[month.name] = month


async def before(connection: Connection, until_us: int) -> list[Month]:
    """The partitions all of whose rows are older, the oldest first."""
    found = [_named(name) for (name,) in await connection.fetch(_THERE)]
    return sorted((month for month in found if month.until_us <= until_us), key=lambda month: month.since_us)


def _named(name: str) -> Month:
    if name == "usage_before":
        return month_of(-1)
    if name == "usage_after":
        return month_of(LAST_US)
    year, _, month = name.removeprefix("usage_y").partition("m")
    return month_of(_micros(int(year), int(month)))


async def drop(connection: Connection, months: Iterable[Month]) -> int:
    """Drop partitions. Returns how many rows went; what somebody reads for long stays until the next time."""
    gone = 0
    for month in months:
        rows = await connection.fetchval(f"SELECT count(*) FROM {month.name}", timeout=3600.0)
        try:
            await connection.execute(f"SET LOCAL lock_timeout={_DROP_MILLISECONDS}; DROP TABLE IF EXISTS {month.name}")
        except Exception as failed:
            if sqlstate(failed) != _LOCKED:
                raise
            break
        gone += int(rows)
    return gone
