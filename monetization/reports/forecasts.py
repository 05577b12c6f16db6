"""Where use is going: the recent pace, what a month will come to, and when a balance is gone. Pure, in whole numbers.

The pace is that of the last seven days, or of the days since the first use where those are fewer, because a new user's empty
days say nothing. A day here is 24 hours that end now, so that a day just begun never looks like a lull.
"""

from collections.abc import Sequence
from typing import Final

from monetization.reports.ranges import DAY_US
from storage.records.fact import fact

RECENT_DAYS: Final = 7
HORIZON_DAYS: Final = 3_650
"""Ten years: what lasts longer has no end that anybody can foresee."""
_PERCENT: Final = 100


@fact
class Pace:
    """How fast something is used, in its own unit."""

    used: int
    """In the last `days` days."""
    days: int
    """1 to 7; 0: never used."""
    before: int | None = None
    """In as many days before those; None where use began later than that."""

    @property
    def per_day(self) -> int:
        """A day's use, rounded to the nearest whole unit."""
        return (2 * self.used + self.days) // (2 * self.days) if self.days else 0

    @property
    def change_percent(self) -> int | None:
        """Against the days before, to the nearest whole percent, 0 for no change. None: there is nothing to compare with."""
        if not self.before:
            return None
        return (2 * (self.used - self.before) * _PERCENT + self.before) // (2 * self.before)


def pace_of(days: Sequence[int]) -> Pace:
    """The pace of a series of days, the oldest first, the last one ending now."""
    begun = next((index for index, used in enumerate(days) if used), None)
    if begun is None:
        return Pace(0, 0)
    recent = min(RECENT_DAYS, len(days) - begun)
    before = days[-2 * recent : -recent] if len(days) - begun >= 2 * recent else None
    return Pace(sum(days[-recent:]), recent, None if before is None else sum(before))


def in_days(left: int, pace: Pace) -> int | None:
    """How many whole days an amount lasts at this pace. None: it does not end, or later than anybody can foresee.

    What is gone stays gone when its user, whom everything is refused since then, uses no more of it.
    """
    if left <= 0 and pace.days:
        return 0
    if pace.used <= 0:
        return None
    days = left * pace.days // pace.used
    return days if days <= HORIZON_DAYS else None


def gone_us(left: int, pace: Pace, now_us: int) -> int | None:
    """When an amount is gone at this pace, in Unix microseconds. None: see `in_days`."""
    if in_days(left, pace) is None:
        return None
    return now_us if left <= 0 else now_us + left * pace.days * DAY_US // pace.used


def at_end(so_far: int, pace: Pace, left_us: int) -> int:
    """What a period comes to whose rest is `left_us` long, if use goes on at this pace."""
    if not pace.days:
        return so_far
    return so_far + pace.used * max(0, left_us) // (pace.days * DAY_US)
