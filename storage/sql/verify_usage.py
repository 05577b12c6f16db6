"""The roll-ups of usage against what they sum up: rows by hours, hours by longer grains, users by tenants. Returns what differs.

Some users, or some series, are compared at a time, whatever the history's length; rows are added up by the database, sums in
Python. The weights of users are proved by their days.
Rows are counted again from the hour on from which none was pruned; the sums of different series and grains agree for ever.
"""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Iterable, Iterator
from operator import add
from typing import Any, Final, TypeAlias

from storage.sql.books import Books, Rows, compared
from storage.sql.rollups import (
    DAY,
    DAY_US,
    DAYS_8,
    DAYS_64,
    DIMENSIONS,
    HOUR,
    HOUR_US,
    LENGTHS_US,
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
from storage.sql.verify_ranges import Range, ranges
from storage.sql.weighing import KEPT_SINCE, kept_of

# Any: columns come from a driver; the table gives their types.

Sums: TypeAlias = dict[tuple[Any, ...], tuple[int, ...]]
"""Measures by what they are of."""

ROWS_PER_TENANT: Final = 1_000
"""A series of a tenant comes to as many hours or some more."""
_THINGS: Final = tuple(name for name in DIMENSIONS if name not in PERSONS)
_NOTHING: Final = (0,) * len(MEASURES)
_MEASURED: Final = ", ".join(f"t.{name}" for name in MEASURES)
_BY: Final = ("user_id", *(name for name in DIMENSIONS if name != "user_id"))
"""The dimensions in the order that tells rows apart soonest."""


def roll_ups(books: Books) -> Rows:
    """11. Sums of usage equal a recount: hours their rows, a tenant its users, longer grains their hours, weights their days."""
    for some in ranges(books):
        books.renew()
        yield from _users(books, some)
    yield from _tenants(books)
    for grain, length_us in LONGER:
        books.renew()
        yield from books(_weights(grain, length_us, kept_of(books(KEPT_SINCE)).mark))


def _users(books: Books, some: Range) -> Rows:
    """Some users: their hours against their rows, and their days against their hours."""
    since_us = -(-kept_of(books(KEPT_SINCE)).rows_us // HOUR_US) * HOUR_US
    count, width = _rows(books, some, since_us), len(_BY) + 1
    counted: Sums = {row[:width]: row[width:] for row in count}
    days: Sums = {}
    who = (_BY.index("user_id"), _BY.index("charge_asset"))
    for row in _slots(books, some, OF_USER, HOUR, _BY):
        key, measures = row[:width], row[width:]
        if key[-1] >= since_us and counted.pop(key, _NOTHING) != measures:
            yield ("hour", *key, measures[0])
        _raise(days, (key[who[0]], key[who[1]], key[-1] - key[-1] % DAY_US), measures)
    for row in _slots(books, some, OF_WHO, DAY, ("user_id", "charge_asset")):
        if days.pop(row[:3], _NOTHING) != row[3:]:
            yield ("who", *row[:4])
    yield from _left("hour", counted)
    yield from _left("who", days)


def _left(name: str, counted: Sums) -> Iterator[tuple[Any, ...]]:
    """What was counted and has no sum."""
    return ((name, *key, measures[0]) for key, measures in counted.items() if any(measures))


def _raise(found: Sums, key: tuple[Any, ...], measures: tuple[int, ...]) -> None:
    there = found.get(key)
    found[key] = measures if there is None else tuple(map(add, there, measures))


def _rows(books: Books, some: Range, since_us: int) -> Rows:
    """What the rows of some users come to, by all dimensions and hours."""
    hour, dims = f"u.occurred_us - u.occurred_us % {HOUR_US}", ", ".join(f"u.{name}" for name in _BY[1:])
    measured = ", ".join(f"CAST(coalesce({measure}, 0) AS bigint)" for measure in RAW)  # a driver's decimals are slow
    hint = books.dialect.row_hint("usage_by_user")
    condition, values = some.condition(books.dialect, "u", "u.occurred_us")
    return books(
        f"SELECT u.user_id, {dims}, {hour} AS hour, {measured} FROM usage u {hint} WHERE {condition} "
        f"AND u.occurred_us>={since_us} GROUP BY u.user_id, {hour}, {dims}",
        *values,
    )


def _slots(books: Books, some: Range, level: int, grain: int, by: Iterable[str]) -> Rows:
    condition, values = some.condition(books.dialect, "s", "t.start_us")
    dims = ", ".join(f"s.{name}" for name in by)
    return books(
        f"SELECT {dims}, t.start_us, {_MEASURED} FROM usage_series s CROSS JOIN usage_slot t WHERE t.series=s.id "
        f"AND s.level={level} AND t.grain={grain} AND {condition}",
        *values,
    )


# Tenants ------------------------------------------------------------------------------------------------------------------------


def _tenants(books: Books) -> Rows:
    """A tenant's hours against those of its users, its days against its hours, its longer grains against its days."""
    series = _Series(books)
    known = list(series.users)
    size = max(1, compared(books) // ROWS_PER_TENANT)
    for at in range(0, len(known), size):
        if books.are_ids_in_order:
            books.renew()
            series.go_on(books)
        yield from _compared(books, known[at : at + size], series)
    yield from (("tenant", number, "has no series of its tenant") for number in series.lost)


class _Series:
    """Which series of users a series of a tenant sums up. Series never change and never go; new ones have greater ids."""

    def __init__(self, books: Books) -> None:
        self._last = -1
        self._tenants: dict[tuple[Any, ...], int] = {}
        self.users: dict[int, list[int]] = {}
        self.lost: list[int] = []
        self.go_on(books)

    def go_on(self, books: Books) -> None:
        """Take in those that are new."""
        things = ", ".join(_THINGS)
        some = f"SELECT id, {things} FROM usage_series WHERE level={{}} AND id>{books.dialect.mark(1)} ORDER BY id"
        last = self._last
        for number, *dims in books(some.format(OF_TENANT), last):
            self._tenants[tuple(dims)] = number
            self.users[number] = []
            self._last = max(self._last, number)
        for number, *dims in books(some.format(OF_USER), last):
            tenant = self._tenants.get(tuple(dims))
            (self.lost if tenant is None else self.users[tenant]).append(number)
            self._last = max(self._last, number)


def _compared(books: Books, tenants: list[int], series: _Series) -> Rows:
    mark = kept_of(books(KEPT_SINCE)).mark
    counted: dict[int, Sums] = {HOUR: _hours(books, tenants, series), DAY: {}, DAYS_8: {}, DAYS_64: {}}
    among, value = books.among(tenants)
    slots = books(
        f"SELECT t.series, t.grain, t.start_us, {_MEASURED} FROM usage_slot t WHERE t.series {among} "
        "ORDER BY t.series, t.grain, t.start_us",
        value,
    )
    for number, grain, start_us, *rest in slots:
        measures = tuple(rest)
        if counted[grain].pop((number, start_us), _NOTHING) != measures:
            yield ("longer" if grain > DAY else "tenant", number, grain, start_us, measures[0])
        if grain == HOUR:
            _raise(counted[DAY], (number, start_us - start_us % DAY_US), measures)
        elif grain == DAY and mark_of(start_us, number) <= mark:
            for longer in (DAYS_8, DAYS_64):
                _raise(counted[longer], (number, start_us - start_us % LENGTHS_US[longer]), measures)
    for grain, found in counted.items():
        yield from _left(
            "longer" if grain > DAY else "tenant", {(key[0], grain, key[1]): m for key, m in found.items()}
        )


def _hours(books: Books, tenants: list[int], series: _Series) -> Sums:
    """What the users of these series come to, by series and hour."""
    tenant_of = {user: tenant for tenant in tenants for user in series.users[tenant]}
    among, value = books.among(list(tenant_of))
    found: Sums = {}
    slots = f"SELECT t.series, t.start_us, {_MEASURED} FROM usage_slot t WHERE t.series {among} AND t.grain={HOUR}"
    for user, start_us, *measures in books(slots, value):
        _raise(found, (tenant_of[user], start_us), tuple(measures))
    return found


# Weights ------------------------------------------------------------------------------------------------------------------------


def _weights(grain: int, length_us: int, mark: int) -> str:
    """Where the weights of a grain are not those of the days up to the mark."""
    used = "+".join(f"t.{name}" for name in TOKENS)
    counted = (f"-({measure})" for measure in ("t.requests", used, "t.cost_nano_whole", "t.cost_nano_rest"))
    differs = " OR ".join(f"sum({measure})<>0" for measure in WEIGHED)
    marked = f"(t.start_us/{DAY_US})*{mark_of(DAY_US, 0)}+t.series"
    return (
        f"SELECT 'weight', series, start_us, sum(requests) FROM (SELECT series, start_us, {', '.join(WEIGHED)} "
        f"FROM usage_weight WHERE grain={grain} UNION ALL "
        f"SELECT t.series, t.start_us - t.start_us % {length_us}, {', '.join(counted)} FROM usage_slot t "
        f"JOIN usage_series s ON s.id=t.series WHERE s.level={OF_WHO} AND t.grain={DAY} AND {marked}<={mark}) d "
        f"GROUP BY series, start_us HAVING {differs} LIMIT 100"
    )
