"""Ranges of time and how a report divides them: in any time zone, over changes of the clock, without a gap. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from monetization.periods import start_of
from storage.records.fact import fact

Interval = Literal["minute", "hour", "day", "week", "month"]
Named = Literal["current_month", "last_30_days", "last_7_days"]

DAY_US: Final = 86_400_000_000
BUCKETS_MAX: Final = 1_500
"""Points of one series: a day of minutes, two months of hours."""
_SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _SECOND_US
_DAYS: Final[dict[Named, int]] = {"last_30_days": 30, "last_7_days": 7}
_OF_MACHINE: Final = frozenset({"localtime", "posixrules", "Factory"})
"""What lies among the zones without being one: the first two are whatever this machine is set to, the last one nothing yet."""
_TWICE: Final = ("posix/", "right/")
"""Before the names of the second copies that some systems have, the latter with leap seconds."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_MONTHS: Final = 12


@fact
class Range:
    """From `since_us` (included) to `until_us` (not), in Unix microseconds."""

    since_us: int
    until_us: int

    @property
    def edges(self) -> tuple[int, int]:
        """The range as one bucket."""
        return (self.since_us, self.until_us)

    def so_far(self, now_us: int) -> "Range":
        """What of it has passed, this instant included; empty where it begins later."""
        return Range(self.since_us, max(self.since_us, min(self.until_us, now_us + 1)))


class TooManyBuckets(ValueError):
    """The range holds more intervals than one series shows."""


def named(period: Named, now_us: int) -> Range:
    """A range by its name in the documents (S0-36): the calendar month in UTC so far, or whole days back from now."""
    if period == "current_month":
        return Range(start_of("monthly", now_us), now_us + 1)
    return Range(now_us + 1 - _DAYS[period] * DAY_US, now_us + 1)


def last_days(days: int, now_us: int) -> Range:
    """So many whole days back from now, this instant included."""
    return Range(now_us + 1 - days * DAY_US, now_us + 1)


def zone_of(name: str) -> ZoneInfo | None:
    """A time zone by its IANA name; None where there is none of that name."""
    if name in _OF_MACHINE or name.startswith(_TWICE):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a name may also be a path that leads nowhere
        return None


def edges_of(interval: Interval, span: Range, zone: ZoneInfo) -> tuple[int, ...]:
    """Where the buckets of a series begin, and where the last one ends: the range's own ends stand first and last.

    Buckets begin where a clock of that zone shows a round minute, hour, day, Monday or first of a month; on days when that
    clock is changed a day has 23 or 25 hours. Raises: TooManyBuckets.
    """
    edges = [span.since_us]
    at_us = _floor(interval, span.since_us, zone)
    while True:
        at_us = _next(interval, at_us, zone)
        if at_us >= span.until_us:
            break
        edges.append(at_us)
        if len(edges) > BUCKETS_MAX:
            raise TooManyBuckets(f"more than {BUCKETS_MAX} {interval}s")
    return (*edges, span.until_us)


def local_iso(at_us: int, zone: ZoneInfo) -> str:
    """An instant as the zone's clock shows it, with its distance from UTC."""
    return _at(at_us).astimezone(zone).isoformat(timespec="seconds")


def _floor(interval: Interval, at_us: int, zone: ZoneInfo) -> int:
    """When the interval that holds the instant began."""
    local = _at(at_us).astimezone(zone)
    if interval in ("minute", "hour"):
        into = timedelta(minutes=0 if interval == "minute" else local.minute, seconds=local.second)
        return _us(local.astimezone(UTC) - into)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match interval:
        case "week":
            day -= timedelta(days=day.weekday())
        case "month":
            day = day.replace(day=1)
    return _us(day.astimezone(UTC))


def _next(interval: Interval, at_us: int, zone: ZoneInfo) -> int:
    """When the interval after the one that began at `at_us` begins."""
    if interval == "minute":
        return at_us + _MINUTE_US
    if interval == "hour":
        return _next_hour(at_us, zone)
    local = _at(at_us).astimezone(zone).replace(tzinfo=None)
    if local.hour:  # midnight itself was skipped on that day
        local = local.replace(hour=0)
    match interval:
        case "day":
            local += timedelta(days=1)
        case "week":
            local += timedelta(days=7)
        case "month":
            year, month = divmod(local.year * _YEAR_MONTHS + local.month, _YEAR_MONTHS)
            local = local.replace(year=year, month=month + 1)
    return _us(local.replace(tzinfo=zone).astimezone(UTC))


def _next_hour(at_us: int, zone: ZoneInfo) -> int:
    """When the clock next shows another hour; where it is changed by half an hour, one lasts half or one and a half."""
    full_us = _floor("hour", at_us + 60 * _MINUTE_US, zone)
    local = _at(full_us).astimezone(zone)
    if full_us > at_us and local.minute == local.second == 0:
        return full_us
    hour = _at(at_us).astimezone(zone).replace(tzinfo=None, minute=0, second=0)
    later = (at_us + minutes * _MINUTE_US for minutes in range(15, 121, 15))
    return next(us for us in later if _at(us).astimezone(zone).replace(tzinfo=None, minute=0, second=0) != hour)


def _at(at_us: int) -> datetime:
    return _EPOCH + timedelta(seconds=at_us // _SECOND_US)


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1) * _SECOND_US
