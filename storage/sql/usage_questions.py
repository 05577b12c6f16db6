"""Questions about usage as statements of either database, and their answers as sums. No connection, no statement that writes."""
# ruff: noqa: S608  # statements are built from our own names, never from values

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

from storage.records.reports import EDGES_MAX, FAILED, Dim, Order, UsageScope, UsageSum
from storage.records.usage import Usage
from storage.sql.usage_rows import BUCKETS, COLUMNS

# Any: what is asked for and what comes back hold what their tables say.

NANO: Final = 1_000_000_000
Piece: TypeAlias = tuple[int, int, int]
"""From (included), to (not), and the start of the bucket that it belongs to."""
Question: TypeAlias = tuple[str, list[Any]]
"""A statement and its values."""

_TOKENS: Final = tuple(f"tokens_{bucket}" for bucket in BUCKETS)
_USED: Final = "+".join(_TOKENS)
_FAILED: Final = ", ".join(f"'{outcome}'" for outcome in FAILED)
MEASURES: Final = (
    "requests", "failed", "partial", "estimated", "unpriced", *_TOKENS, "quantity_nano", "cost_nano", "fee_nano",
    "latency_us", "first_byte_us", "first_bytes", "charge_whole", "charge_part",
)  # fmt: skip
"""What is added up, in this order. What was charged is in two parts (10^9 and the rest), because a sum may pass 64 bits."""
_RAW: Final = (
    "count(*)", f"count(*) FILTER (WHERE u.outcome IN ({_FAILED}))", "sum(u.is_partial)", "sum(u.is_estimated)",
    f"count(*) FILTER (WHERE u.cost_nano IS NULL AND {_USED.replace('tokens', 'u.tokens')}>0)",
    *(f"sum(u.{name})" for name in (*_TOKENS, "quantity_nano", "cost_nano", "fee_nano", "latency_us", "first_byte_us")),
    "count(u.first_byte_us)", f"sum(u.charge_amount/{NANO})", f"sum(u.charge_amount%{NANO})",
)  # fmt: skip
"""The same of rows."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database takes values, and a list of pieces as a table `p` of lo, hi and start."""

    mark: Callable[[int], str]
    pieces: Callable[[Sequence[Piece], "Binds"], str]
    row_hint: Callable[[str], str]
    """What to write behind a table to name the index that answers."""


class Binds:
    """The values of one statement, in the order of their marks."""

    def __init__(self, dialect: Dialect) -> None:
        self.values: list[Any] = []
        self._mark = dialect.mark

    def __call__(self, value: Any) -> str:
        """The mark of one more value."""
        self.values.append(value)
        return self._mark(len(self.values))


def json_pieces(pieces: Sequence[Piece], bind: Binds) -> str:
    """A table of pieces for SQLite."""
    columns = ", ".join(
        f"json_extract(value,'$[{at}]') AS {name}" for at, name in enumerate(("lo", "hi", "start"))
    )  # fmt: skip
    return f"(SELECT {columns} FROM json_each({bind(json.dumps(pieces))})) p"


def array_pieces(pieces: Sequence[Piece], bind: Binds) -> str:
    """A table of pieces for PostgreSQL."""
    columns = ", ".join(f"{bind(list(column))}::bigint[]" for column in zip(*pieces, strict=True))
    return f"unnest({columns}) AS p(lo, hi, start)"


SQLITE: Final = Dialect(lambda number: f"?{number}", json_pieces, lambda index: f"INDEXED BY {index}")
POSTGRES: Final = Dialect(lambda number: f"${number}", array_pieces, lambda _: "")


def check_edges(edges_us: Sequence[int]) -> None:
    """Our own callers ask for a bounded number of buckets."""
    assert 2 <= len(edges_us) <= EDGES_MAX, f"{len(edges_us)} edges; from 2 to {EDGES_MAX} are answered"  # noqa: PLR2004  # one bucket
    assert all(a < b for a, b in pairwise(edges_us)), "the edges rise"


def _index_of(user_id: str | None, organization_id: str | None) -> str:
    if user_id is not None:
        return "usage_by_user"
    return "usage_by_time" if organization_id is None else "usage_by_organization"


def conditions(scope: UsageScope, bind: Binds, alias: str) -> str:
    """What a row must be like to be in the scope."""
    wanted: dict[str, str | None] = {"tenant": scope.tenant}
    if scope.user_id is not None:
        wanted["user_id"] = scope.user_id
    if scope.organization_id is not None:
        wanted["organization_id"] = scope.organization_id
    terms = [_is(f"{alias}.{name}", value, bind) for name, value in wanted.items()]
    terms += [_is(f"{alias}.{name}", value, bind) for name, value in scope.where.items()]
    return " AND ".join(terms)


def _is(column: str, value: str | None, bind: Binds) -> str:
    return f"{column} IS NULL" if value is None else f"{column}={bind(value)}"


def rows_question(
    dialect: Dialect, scope: UsageScope, *, since_us: int, until_us: int, after: tuple[int, ...], limit: int
) -> Question:
    """A page of rows, newest first: their seq, then their columns."""
    bind = Binds(dialect)
    hint = dialect.row_hint(_index_of(scope.user_id, scope.organization_id))
    columns = ", ".join(f"u.{name}" for name in COLUMNS)
    statement = (
        f"SELECT u.seq, {columns} FROM usage u {hint} WHERE {conditions(scope, bind, 'u')} "
        f"AND u.occurred_us>={bind(since_us)} AND u.occurred_us<{bind(until_us)} "
        f"AND (u.occurred_us, u.seq) < ({bind(after[0])}, {bind(after[1])}) "
        f"ORDER BY u.occurred_us DESC, u.seq DESC LIMIT {bind(limit)}"
    )
    return statement, bind.values


def raw_sums(dialect: Dialect, scope: UsageScope, by: Sequence[Dim], pieces: Sequence[Piece]) -> Question:
    """Sums over rows: the bucket's start, the dimensions, the asset, the measures."""
    bind = Binds(dialect)
    table = dialect.pieces(pieces, bind)
    hint = dialect.row_hint(_index_of(scope.user_id, scope.organization_id))
    groups = ", ".join(["p.start", *(f"u.{dim}" for dim in by), "u.charge_asset"])
    statement = (
        f"SELECT {groups}, {', '.join(_RAW)} FROM {table} CROSS JOIN usage u {hint} "
        f"WHERE {conditions(scope, bind, 'u')} AND u.occurred_us>=p.lo AND u.occurred_us<p.hi GROUP BY {groups}"
    )
    return statement, bind.values


def raw_users(dialect: Dialect, tenant: str, since_us: int, until_us: int) -> Question:
    """Who has rows."""
    bind = Binds(dialect)
    statement = (
        f"SELECT DISTINCT user_id FROM usage {dialect.row_hint('usage_by_time')} WHERE tenant={bind(tenant)} "
        f"AND occurred_us>={bind(since_us)} AND occurred_us<{bind(until_us)} AND user_id IS NOT NULL"
    )
    return statement, bind.values


# Answers --------------------------------------------------------------------------------------------------------------


class Sums:
    """Adds up what several statements found."""

    def __init__(self, dims: int) -> None:
        self._dims = dims
        self._totals: dict[tuple[int, tuple[str | None, ...]], tuple[list[int], dict[str, int]]] = {}

    def add(self, found: Iterable[Sequence[Any]]) -> None:
        """Take in rows of: the bucket's start, the dimensions, the asset, the measures."""
        for row in found:
            start, *key = row[: 1 + self._dims]
            asset, *values = row[1 + self._dims :]
            measures = [int(value or 0) for value in values]
            whole, part = measures[-2:]
            totals, charged = self._totals.setdefault((int(start), tuple(key)), ([0] * len(measures), {}))
            totals[:] = map(int.__add__, totals, measures)
            if asset is not None and (whole or part):
                charged[asset] = charged.get(asset, 0) + whole * NANO + part

    def sums(self, *, limit: int | None, order: Order) -> tuple[UsageSum, ...]:
        """What it came to."""
        made = [_sum(start, key, *found) for (start, key), found in self._totals.items() if found[0][0]]
        if limit is not None:
            first = self._first(made, limit, order)
            made = [one for one in made if one.key in first]
        return tuple(sorted(made, key=lambda one: (one.start_us, -_weight(one, order), _sortable(one.key))))

    def _first(self, made: Iterable[UsageSum], limit: int, order: Order) -> set[tuple[str | None, ...]]:
        weights: dict[tuple[str | None, ...], int] = {}
        for one in made:
            weights[one.key] = weights.get(one.key, 0) + _weight(one, order)
        return set(sorted(weights, key=lambda key: (-weights[key], _sortable(key)))[:limit])


def _sum(start: int, key: tuple[str | None, ...], totals: Sequence[int], charged: Mapping[str, int]) -> UsageSum:
    named = dict(zip(MEASURES[:-2], totals, strict=False))
    usage = Usage(*(named.pop(name) for name in _TOKENS))
    return UsageSum(start_us=start, key=key, usage=usage, charged=charged, **named)


def _weight(one: UsageSum, order: Order) -> int:
    match order:
        case "tokens":
            return one.usage.tokens_total
        case "requests":
            return one.requests
        case "cost":
            return one.cost_nano


def _sortable(key: tuple[str | None, ...]) -> tuple[tuple[bool, str], ...]:
    return tuple((value is not None, value or "") for value in key)


def questions(
    dialect: Dialect, scope: UsageScope, edges_us: Sequence[int], by: Sequence[Dim]
) -> Iterator[Question]:  # fmt: skip
    """The statements that together answer for every bucket between two edges."""
    check_edges(edges_us)
    yield raw_sums(dialect, scope, by, [(a, b, a) for a, b in pairwise(edges_us)])
