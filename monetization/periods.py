"""Calendar periods in UTC: where one began and when the next begins. Pure; a reset needs no job, only a later instant."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal, assert_never

Period = Literal["hourly", "daily", "monthly", "lifetime"]

_SECOND_US: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_US: Final = 3_600 * _SECOND_US
_DAY_US: Final = 24 * _HOUR_US
_DECEMBER: Final = 12


def start_of(period: Period, at_us: int) -> int:
    """When the period that holds the instant began, in Unix microseconds; 0 for a lifetime."""
    match period:
        case "hourly":
            return at_us - at_us % _HOUR_US
        case "daily":
            return at_us - at_us % _DAY_US
        case "monthly":
            return _month_of(at_us // _DAY_US)
        case "lifetime":
            return 0
        case _:
            assert_never(period)


@lru_cache(64)
def _month_of(day: int) -> int:
    """When the month of a day (counted from 1970) began. Remembered, because every call of a day asks the same."""
    return _us((_EPOCH + timedelta(days=day)).replace(day=1))


def end_of(period: Period, start_us: int) -> int | None:
    """When the period that began at `start_us` ends: the first instant of the next one. None: a lifetime has no end."""
    began = _EPOCH + timedelta(seconds=start_us // _SECOND_US)
    match period:
        case "hourly":
            return _us(began + timedelta(hours=1))
        case "daily":
            return _us(began + timedelta(days=1))
        case "monthly":
            is_december = began.month == _DECEMBER
            return _us(began.replace(year=began.year + is_december, month=1 if is_december else began.month + 1))
        case "lifetime":
            return None
        case _:
            assert_never(period)


def iso(at_us: int) -> str:
    """An instant as ISO 8601 in UTC with whole seconds, as the documents write dates."""
    return (_EPOCH + timedelta(seconds=at_us // _SECOND_US)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _us(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds()) * _SECOND_US
