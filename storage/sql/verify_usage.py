"""The roll-ups of usage against what they sum up: rows by hours, hours by longer grains, users by tenants. Returns what differs.

The weights of users are proved by their days.
Rows are counted again from the hour on from which none was pruned; the sums of different series and grains agree for ever.
"""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from storage.sql.rollups import (
    DAY,
    DAY_US,
    DIMENSIONS,
    HOUR,
    HOUR_US,
    LONGER,
    MEASURES,
    OF_TENANT,
    OF_USER,
    OF_WHO,
    PERSONS,
    TOKENS,
    WEIGHED,
    mark_of,
)
from storage.sql.usage_questions import RAW
from storage.sql.weighing import KEPT_SINCE, kept_of

# Any: columns come from a driver; the table gives their types.

Rows: TypeAlias = Iterable[tuple[Any, ...]]
_THINGS: Final = tuple(name for name in DIMENSIONS if name not in PERSONS)
_WHO: Final = ("tenant", "user_id", "charge_asset")
_SUMS: Final = ", ".join(f"sum(t.{name}) AS {name}" for name in MEASURES)


def roll_ups(select: Callable[[str], Rows]) -> Rows:
    """11. Sums of usage equal a recount: hours their rows, a tenant its users, longer grains their hours, weights their days."""
    kept = kept_of(select(KEPT_SINCE))
    since = -(-kept.rows_us // HOUR_US) * HOUR_US
    hours = _slots(OF_USER, HOUR, DIMENSIONS)
    yield from select(_differing("hour", DIMENSIONS, f"{hours} WHERE start_us>={since}", _rows(since)))
    yield from select(_differing("tenant", _THINGS, _slots(OF_TENANT, HOUR, _THINGS), _slots(OF_USER, HOUR, _THINGS)))
    days = _slots(OF_TENANT, HOUR, _THINGS, DAY_US)
    yield from select(_differing("day", _THINGS, _slots(OF_TENANT, DAY, _THINGS), days))
    days = _slots(OF_USER, HOUR, _WHO, DAY_US)
    yield from select(_differing("who", _WHO, _slots(OF_WHO, DAY, _WHO), days))
    for grain, length_us in LONGER:
        yield from select(_weights(grain, length_us, kept.mark))
        if grain != DAY:
            yield from select(_longer(grain, length_us, kept.mark))


def _slots(level: int, grain: int, looks_at: tuple[str, ...], length_us: int = 1) -> str:
    """The sums of roll-ups by these dimensions, in slots of at least this length."""
    dims, start = ", ".join(f"s.{name}" for name in looks_at), f"t.start_us - t.start_us % {length_us}"
    return (
        f"SELECT * FROM (SELECT {dims}, {start} AS start_us, {_SUMS} FROM usage_slot t JOIN usage_series s ON s.id=t.series "
        f"WHERE s.level={level} AND t.grain={grain} GROUP BY {dims}, {start}) x"
    )


def _rows(since_us: int) -> str:
    """The same of rows, by all dimensions and hours."""
    dims, start = ", ".join(f"u.{name}" for name in DIMENSIONS), f"u.occurred_us - u.occurred_us % {HOUR_US}"
    measured = ", ".join(f"coalesce({measure}, 0) AS {name}" for name, measure in zip(MEASURES, RAW, strict=True))
    return f"SELECT {dims}, {start} AS start_us, {measured} FROM usage u WHERE u.occurred_us>={since_us} GROUP BY {dims}, {start}"


def _weights(grain: int, length_us: int, mark: int) -> str:
    """Where the weights of a grain are not those of the days up to the mark."""
    used = "+".join(f"t.{name}" for name in TOKENS)
    counted = ("t.requests", used, "t.cost_nano_whole", "t.cost_nano_rest")
    there = f"SELECT series, start_us, {', '.join(WEIGHED)} FROM usage_weight WHERE grain={grain}"
    return _by_series("weight", WEIGHED, there, _days(OF_WHO, length_us, mark, counted))


def _longer(grain: int, length_us: int, mark: int) -> str:
    """Where a tenant's sums of a longer grain are not those of its days up to the mark."""
    there = f"SELECT series, start_us, {', '.join(MEASURES)} FROM usage_slot WHERE grain={grain}"
    return _by_series("longer", MEASURES, there, _days(OF_TENANT, length_us, mark, [f"t.{name}" for name in MEASURES]))


def _days(level: int, length_us: int, mark: int, counted: Iterable[str]) -> str:
    marked = f"(t.start_us/{DAY_US})*{mark_of(DAY_US, 0)}+t.series"
    return (
        f"SELECT t.series, t.start_us - t.start_us % {length_us}, {', '.join(f'-({measure})' for measure in counted)} "
        f"FROM usage_slot t JOIN usage_series s ON s.id=t.series WHERE s.level={level} AND t.grain={DAY} AND {marked}<={mark}"
    )


def _by_series(name: str, measures: tuple[str, ...], there: str, counted: str) -> str:
    differs = " OR ".join(f"sum({measure})<>0" for measure in measures)
    return (
        f"SELECT '{name}', series, start_us, sum(requests) FROM ({there} UNION ALL {counted}) d "
        f"GROUP BY series, start_us HAVING {differs} LIMIT 100"
    )


def _differing(name: str, looks_at: tuple[str, ...], sums: str, counted: str) -> str:
    """Where the sums are not what was counted."""
    dims = ", ".join((*looks_at, "start_us"))
    added, taken = ", ".join(MEASURES), ", ".join(f"-{measure}" for measure in MEASURES)
    differs = " OR ".join(f"sum({measure})<>0" for measure in MEASURES)
    return (
        f"SELECT '{name}', {dims}, sum(requests) FROM (SELECT {dims}, {added} FROM ({sums}) a "
        f"UNION ALL SELECT {dims}, {taken} FROM ({counted}) b) d GROUP BY {dims} HAVING {differs} LIMIT 100"
    )
