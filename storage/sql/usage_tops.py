"""The question who or what comes first, as one statement of either database. What they come to is asked for afterwards."""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from storage.records.reports import Dim, Order, UsageScope
from storage.sql.rollups import HOUR, NANO, OF_WHO, TOKENS
from storage.sql.usage_pieces import ROWS, Piece
from storage.sql.usage_questions import (
    Binds,
    Dialect,
    Question,
    divided,
    level_of,
    of_rows,
    of_slots,
)
from storage.sql.weighing import Kept


def _sum(what: str) -> str:
    """PostgreSQL would add up in numbers without end, which takes it several times as long."""
    return f"CAST(coalesce(sum({what}), 0) AS bigint)"


def _used(alias: str) -> str:
    return "+".join(f"{alias}.{name}" for name in TOKENS)


_OF_ROWS: Final[Mapping[Order, str]] = {
    "tokens": f"0, {_sum(_used('u'))}, count(*)",
    "requests": "0, count(*), count(*)",
    "cost": f"{_sum(f'u.cost_nano/{NANO}')}, {_sum(f'u.cost_nano%{NANO}')}, count(*)",
}
"""What rows weigh in an order: two sums, the first of which counts 10^9 times the second; and how many they are."""
_OF_SLOTS: Final[Mapping[Order, str]] = {
    "tokens": f"0, {_sum(_used('t'))}, {_sum('t.requests')}",
    "requests": f"0, {_sum('t.requests')}, {_sum('t.requests')}",
    "cost": f"{_sum('t.cost_nano_whole')}, {_sum('t.cost_nano_rest')}, {_sum('t.requests')}",
}
_OF_WEIGHTS: Final[Mapping[Order, str]] = {
    "tokens": f"0 AS whole, {_sum('t.tokens')} AS rest",
    "requests": f"0 AS whole, {_sum('t.requests')} AS rest",
    "cost": f"{_sum('t.cost_nano_whole')} AS whole, {_sum('t.cost_nano_rest')} AS rest",
}
"""Of weights that are not zero the number is not asked for."""


def top_question(
    dialect: Dialect,
    scope: UsageScope,
    edges_us: Sequence[int],
    by: Sequence[Dim],
    order: Order,
    limit: int,
    *,
    kept: Kept,
) -> Question:
    """The first combinations, all buckets together; behind each how many there are of which no value is empty.

    At least one is asked for, so that the number is told.
    """
    assert by, "something comes first"
    bind = Binds(dialect)
    found = " UNION ALL ".join(_parts(bind, scope, (edges_us[0], edges_us[-1]), by, order, kept))
    names = ", ".join(by)
    added = ", ".join(f"{_sum(half)} AS {half}" for half in ("whole", "rest"))
    named = " AND ".join(f"{dim} IS NOT NULL" for dim in by)
    ordered = ", ".join(f"{dim}{dialect.by_code} NULLS FIRST" for dim in by)
    statement = (
        f"WITH w({names}, whole, rest, requests) AS ({found}), "
        f"f AS (SELECT {names}, {added} FROM w GROUP BY {names} HAVING max(requests)>0) "
        f"SELECT {names}, (SELECT count(*) FROM f WHERE {named}) FROM f "
        f"ORDER BY whole+rest/{NANO} DESC, rest%{NANO} DESC, {ordered} LIMIT {bind(max(limit, 1))}"
    )
    return statement, bind.values


def _parts(
    bind: Binds, scope: UsageScope, edges_us: tuple[int, int], by: Sequence[Dim], order: Order, kept: Kept
) -> Iterator[str]:
    """Statements that find the combinations, what they weigh, and how often they occur."""
    is_of_users = tuple(by) == ("user_id",) and scope == UsageScope(scope.tenant)
    pieces = divided(scope, by, edges_us, kept=kept, of_weights=is_of_users)
    rows, hours = pieces.pop(ROWS), pieces.pop(HOUR)
    if rows:
        index = "usage_by_time" if scope.organization_id is None else "usage_by_organization"
        index = index if scope.user_id is None else "usage_by_user"
        yield of_rows(bind, scope, rows, groups=_groups(by, "u"), sums=_OF_ROWS[order], index=index)
    if hours:
        yield _slots(bind, scope, hours, by, HOUR, order)
    if is_of_users:
        if longer := [(lo, hi, grain) for grain, some in pieces.items() for lo, hi, _ in some]:
            yield _weights(bind, scope, longer, order)
        return
    for grain, some in pieces.items():
        if some:
            yield _slots(bind, scope, some, by, grain, order)


def _slots(bind: Binds, scope: UsageScope, pieces: Sequence[Piece], by: Sequence[Dim], grain: int, order: Order) -> str:
    level = level_of(scope, by, grain)
    return of_slots(bind, scope, pieces, grain=grain, level=level, groups=_groups(by, "s"), sums=_OF_SLOTS[order])


def _weights(bind: Binds, scope: UsageScope, pieces: Sequence[Piece], order: Order) -> str:
    """Of users, in grains of a day and longer: each piece names its grain in the place of a bucket."""
    table = bind.dialect.pieces(pieces, bind)
    wanted = "t.grain=p.start AND t.start_us>=p.lo AND t.start_us<p.hi"
    found = (
        f"SELECT t.series, {_OF_WEIGHTS[order]} FROM {table} {bind.dialect.looked_up('usage_weight t', 't', wanted)} "
        "AND t.requests>0 GROUP BY t.series"
    )
    return (
        f"SELECT s.user_id, a.whole, a.rest, 1 FROM ({found}) a CROSS JOIN usage_series s "
        f"WHERE s.id=a.series AND s.tenant={bind(scope.tenant)} AND s.level={bind(OF_WHO)}"
    )


def _groups(by: Sequence[Dim], alias: str) -> str:
    return ", ".join(f"{alias}.{dim}" for dim in by)
