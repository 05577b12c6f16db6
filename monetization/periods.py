"""Periods in UTC: where one began and when the next begins. Pure; a reset needs no job, only a later instant.

A billing period is a month that begins where a subscription's did: on its day and second, in a shorter month on its last day.
"""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, assert_never

Period = Literal["hourly", "daily", "monthly", "billing_period", "lifetime"]
PERIODS: Final[tuple[Period, ...]] = ("hourly", "daily", "monthly", "billing_period", "lifetime")

_SECOND_US: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_US: Final = 3_600 * _SECOND_US
_DAY_US: Final = 24 * _HOUR_US
_YEAR_MONTHS: Final = 12
_SHORTEST_MONTH: Final = 28


def start_of(period: Period, at_us: int, anchor_us: int = 0) -> int:
    """When the period that holds the instant began, in Unix microseconds; 0 for a lifetime.

    `anchor_us`: an instant at which a billing period began, in whole seconds; 0: they are calendar months.
    """
    match period:
        case "hourly":
            return at_us - at_us % _HOUR_US
        case "daily":
            return at_us - at_us % _DAY_US
        case "monthly":
            return _month_of(at_us // _DAY_US)
        case "billing_period":
            return _billing_start(_at(anchor_us), _at(at_us))
        case "lifetime":
            return 0
        case _:
            assert_never(period)


@lru_cache(64)
def _month_of(day: int) -> int:
    """When the month of a day (counted from 1970) began. Remembered, because every call of a day asks the same."""
    return _us((_EPOCH + timedelta(days=day)).replace(day=1))


@lru_cache(256)
def end_of(period: str, start_us: int) -> int | None:
    """When the period that began at `start_us` ends: the first instant of the next one. None: a lifetime has no end.

    `period`: as a window names it, see `window_name`.
    """
    began = _at(start_us)
    match kind_of(period):
        case "hourly":
            return _us(began + timedelta(hours=1))
        case "daily":
            return _us(began + timedelta(days=1))
        case "monthly" | "billing_period":
            _, _, day = period.partition(":")
            return _us(_months_later(began, 1, int(day) if day else began.day))
        case "lifetime":
            return None


def window_name(period: Period, anchor_us: int = 0) -> str:
    """How a window names its period, so that its end follows from its start.

    A billing period that began late in a month keeps that day: it ends on the 31st though it began on the 28th of February.
    """
    if period != "billing_period":
        return period
    day = _at(anchor_us).day
    return period if day <= _SHORTEST_MONTH else f"{period}:{day}"


def kind_of(name: str) -> Period:
    """The period that a window names. Raises: KeyError."""
    return _KINDS[name.partition(":")[0]]


_KINDS: Final[dict[str, Period]] = {period: period for period in PERIODS}


def _billing_start(anchor: datetime, at: datetime) -> int:
    months = (at.year - anchor.year) * _YEAR_MONTHS + at.month - anchor.month
    start = _months_later(anchor, months, anchor.day)
    return _us(start if start <= at else _months_later(anchor, months - 1, anchor.day))


def _months_later(began: datetime, months: int, day: int) -> datetime:
    """The same time on that day so many months later, or on the last day of a month that is shorter."""
    year, month = divmod(began.year * _YEAR_MONTHS + began.month - 1 + months, _YEAR_MONTHS)
    last = monthrange(year, month + 1)[1]
    return began.replace(year=year, month=month + 1, day=min(day, last))


def iso(at_us: int) -> str:
    """An instant as ISO 8601 in UTC with whole seconds, as the documents write dates."""
    return _at(at_us).strftime("%Y-%m-%dT%H:%M:%SZ")


def _at(at_us: int) -> datetime:
    return _EPOCH + timedelta(seconds=at_us // _SECOND_US)


def _us(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds()) * _SECOND_US
