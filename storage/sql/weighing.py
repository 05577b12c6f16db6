"""Summing up days that have ended: users' weights and a tenant's longer grains, a few series in one commit. No connection.

A settlement raises hours and days alone. What is summed up from days waits until they have ended, and how far that has come is
one number, kept with the rest: a day and the last series of it that was done. What comes late for a day and a series before that
mark is summed up in its own commit; so the sums are exact at every commit, and questions use them up to the day of the mark.
"""
# ruff: noqa: S608  # statements are built from our own names and numbers, never from values

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from storage.records.commands import Forget
from storage.sql.rollups import (
    DAY,
    DAY_US,
    EVERY_DAY,
    LONGER,
    MEASURES,
    OF_TENANT,
    OF_WHO,
    SLOT,
    SLOT_KEY,
    TOKENS,
    WEIGHED,
    WEIGHT,
    WEIGHT_KEY,
    mark_of,
    marked_day_us,
    marked_series,
)

SERIES_MAX: Final = 5_000
"""Series that are looked at in one commit: some milliseconds."""
PIECES_MAX: Final = 2_000
"""Commits of one run; what is left then is left for the next one."""
ENDED_US: Final = 3600 * 1_000_000
"""So long ago a day must have ended: nearly all of its calls have been settled."""
KEPT_SINCE: Final = "SELECT resource, before_us FROM pruned WHERE resource IN ('usage', 'weighed')"
"""From when on every row is still there (no answer: from ever), and the mark (no answer: every day is summed up at once)."""
NEWEST: Final = "SELECT coalesce(max(id), 0) FROM usage_series"
LAST_DAY: Final = f"SELECT coalesce(max(start_us), -1) FROM usage_weight WHERE grain={DAY}"
_USED: Final = "+".join(f"t.{name}" for name in TOKENS)


@dataclass(frozen=True, slots=True)
class Kept:
    """What rows and sums can be asked for."""

    rows_us: int = 0
    """From when on every row is still there."""
    mark: int = EVERY_DAY

    @property
    def weighed_us(self) -> int:
        """Up to when days are summed up."""
        return marked_day_us(self.mark)


def kept_of(found: Iterable[Sequence[object]]) -> Kept:
    """The answer to `KEPT_SINCE`."""
    named = {str(resource): int(str(before)) for resource, before in found}
    return Kept(named.get("usage", 0), named.get("weighed", EVERY_DAY))


@dataclass(frozen=True, slots=True)
class Piece:
    """A day, some of its series, and the mark once they are summed up."""

    day_us: int
    since: int
    until: int
    mark: int

    def statements(self) -> Iterator[str]:
        """What sums them up."""
        found = (
            f"FROM usage_series s CROSS JOIN usage_slot t WHERE t.series=s.id AND t.grain={DAY} AND t.start_us={self.day_us} "
            f"AND s.id>{self.since} AND s.id<={self.until} AND s.level="
        )
        weighed = f"t.requests, {_USED}, t.cost_nano_whole, t.cost_nano_rest"
        measured = ", ".join(f"t.{name}" for name in MEASURES)
        for grain, length_us in LONGER:
            start_us = self.day_us - self.day_us % length_us
            yield (
                f"INSERT INTO usage_weight ({', '.join(WEIGHT)}) SELECT {grain}, {start_us}, t.series, {weighed} "
                f"{found}{OF_WHO} ORDER BY t.series {raising('usage_weight', WEIGHT_KEY, WEIGHED)}"
            )
            if grain != DAY:
                yield (
                    f"INSERT INTO usage_slot ({', '.join(SLOT)}) SELECT t.series, {grain}, {start_us}, {measured} "
                    f"{found}{OF_TENANT} ORDER BY t.series {raising('usage_slot', SLOT_KEY, MEASURES)}"
                )


def raising(table: str, key: Sequence[str], raised: Sequence[str]) -> str:
    """What adds to the row that is there already."""
    added = ", ".join(f"{name}={table}.{name}+excluded.{name}" for name in raised)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"


def first_mark(last_day_us: int, before_us: int) -> int:
    """The first mark of all: behind every day that was summed up at once. `last_day_us`: negative where there is none."""
    return mark_of(before_us - before_us % DAY_US if last_day_us < 0 else last_day_us + DAY_US, 0)


def next_piece(mark: int, newest: int, before_us: int) -> Piece | None:
    """What comes next; None when every day that ended before this instant is summed up."""
    day_us, since = marked_day_us(mark), marked_series(mark)
    if day_us + DAY_US > before_us:
        return None
    until = since + SERIES_MAX
    return Piece(day_us, since, until, mark_of(day_us, until) if until < newest else mark_of(day_us + DAY_US, 0))


async def weigh(mark: Callable[[], Awaitable[int]], submit: Callable[[Forget], Awaitable[object]], now_us: int) -> None:
    """Sum up piece by piece what has ended. Raises: StorageUnavailable."""
    before_us = now_us - ENDED_US
    for _ in range(PIECES_MAX):
        at = await mark()
        if at != EVERY_DAY and marked_day_us(at) + DAY_US > before_us:
            return
        await submit(Forget(weigh_before_us=before_us))
