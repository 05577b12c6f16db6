"""Questions about usage as statements of either database, and their answers as sums. No connection, no statement that writes."""
# ruff: noqa: S608  # statements are built from our own names, never from values

import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

from storage.records.reports import EDGES_MAX, FAILED, Dim, Order, UsageScope, UsageSum
from storage.records.usage import Usage
from storage.sql.rollups import (
    COUNTED,
    DAY,
    DAY_US,
    HOUR,
    HOUR_US,
    MEASURES,
    NANO,
    OF_TENANT,
    OF_USER,
    OF_WHO,
    PERSONS,
    SPLIT,
    TOKENS,
)
from storage.sql.usage_rows import COLUMNS

# Any: what is asked for and what comes back hold what their tables say.

Piece: TypeAlias = tuple[int, int, int]
"""From (included), to (not), and the start of the bucket that it belongs to."""
Key: TypeAlias = tuple[str | None, ...]
"""Values of the dimensions that are asked for."""
Only: TypeAlias = Order | frozenset[Key] | None
"""An order: nothing but what each combination weighs in it, all buckets together. Combinations: only theirs. None: everything."""
Question: TypeAlias = tuple[str, list[Any]]
"""A statement and its values."""

_USED: Final = "+".join(f"u.{name}" for name in TOKENS)
_FAILED: Final = ", ".join(f"'{outcome}'" for outcome in FAILED)
RAW: Final = (
    "count(*)", f"count(*) FILTER (WHERE u.outcome IN ({_FAILED}))", "sum(u.is_partial)", "sum(u.is_estimated)",
    f"count(*) FILTER (WHERE u.cost_nano IS NULL AND {_USED}>0)", *(f"sum(u.{name})" for name in TOKENS),
    "sum(u.latency_us)", "sum(u.first_byte_us)", "count(u.first_byte_us)",
    *(f"sum(u.{name}{part}{NANO})" for name in SPLIT for part in ("/", "%")),
)  # fmt: skip
"""What rows add to `MEASURES`."""
_WEIGHED: Final[Mapping[Order, str]] = {
    "tokens": f"0, sum({_USED}), count(*)",
    "requests": "0, count(*), count(*)",
    "cost": f"sum(u.cost_nano/{NANO}), sum(u.cost_nano%{NANO}), count(*)",
}
"""What rows weigh in an order: two sums, the first of which counts 10^9 times the second; and how many they are."""
_SLOTS_WEIGHED: Final[Mapping[Order, str]] = {
    "tokens": f"0, sum({'+'.join(f't.{name}' for name in TOKENS)}), sum(t.requests)",
    "requests": "0, sum(t.requests), sum(t.requests)",
    "cost": "sum(t.cost_nano_whole), sum(t.cost_nano_rest), sum(t.requests)",
}
_SUMMED: Final = tuple(name for name in SPLIT if name != "charge_amount")
"""What is summed whatever the asset."""
_SLOTS: Final = ", ".join(f"sum(t.{name})" for name in MEASURES)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database takes values, and a list of pieces as a table `p` of lo, hi and start."""

    mark: Callable[[int], str]
    pieces: Callable[[Sequence[Piece], "Binds"], str]
    row_hint: Callable[[str], str]
    """What to write behind a table to name the index that answers."""
    looked_up: Callable[[str, str, str], str]
    """A table under an alias, on a condition, to be looked up for each row of what stands before it."""


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


def _joined(table: str, alias: str, condition: str) -> str:
    """SQLite keeps the order in which tables are named."""
    del alias
    return f"CROSS JOIN {table} WHERE {condition}"


def _lateral(table: str, alias: str, condition: str) -> str:
    """PostgreSQL would guess how many rows a range holds and read all months; OFFSET 0 keeps it from joining otherwise."""
    return f"CROSS JOIN LATERAL (SELECT * FROM {table} WHERE {condition} OFFSET 0) {alias} WHERE true"


SQLITE: Final = Dialect(lambda number: f"?{number}", json_pieces, lambda index: f"INDEXED BY {index}", _joined)
POSTGRES: Final = Dialect(lambda number: f"${number}", array_pieces, lambda _: "", _lateral)


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


def raw_sums(
    dialect: Dialect, scope: UsageScope, by: Sequence[Dim], pieces: Sequence[Piece], only: Only = None
) -> Question:
    """Sums over rows: the bucket's start, the dimensions, the asset, the measures."""
    bind = Binds(dialect)
    table = dialect.pieces(pieces, bind)
    hint = dialect.row_hint(_index_of(scope.user_id, scope.organization_id))
    groups = _groups(by, "u", only)
    sums = _WEIGHED[only] if isinstance(only, str) else ", ".join(RAW)
    wanted = f"{conditions(scope, bind, 'u')} AND u.occurred_us>=p.lo AND u.occurred_us<p.hi"
    statement = (
        f"SELECT {groups}, {sums} FROM {table} {dialect.looked_up(f'usage u {hint}', 'u', wanted)}"
        f"{_keyed(only, by, bind, 'u')} GROUP BY {groups}"
    )
    return statement, bind.values


def _groups(by: Sequence[Dim], alias: str, only: Only, start: str = "p.start") -> str:
    dims = [f"{alias}.{dim}" for dim in by]
    return ", ".join(dims if isinstance(only, str) else [start, *dims, f"{alias}.charge_asset"])


def _regular(pieces: Sequence[Piece]) -> Piece | None:
    """All pieces as one, where each begins as the one before ends and is as long: then one look at a series answers for all."""
    length, (first, _, start) = _length(pieces[0]), pieces[0]
    for number, (lo, hi, label) in enumerate(pieces):
        if lo != first + number * length or hi != lo + length or label - lo != start - first:
            return None
    return first, pieces[-1][1], start


def _length(piece: Piece) -> int:
    return piece[1] - piece[0]


def _keyed(only: Only, by: Sequence[Dim], bind: Binds, alias: str) -> str:
    if only is None or isinstance(only, str):
        return ""
    if len(by) == 1 and all(value is not None for (value,) in only):  # which an index answers
        return f" AND {alias}.{by[0]} IN ({', '.join(bind(value) for (value,) in only)})"
    keys = (
        " AND ".join(_is(f"{alias}.{dim}", value, bind) for dim, value in zip(by, key, strict=True)) for key in only
    )
    return f" AND ({' OR '.join(f'({key})' for key in keys)})"


def slot_sums(
    dialect: Dialect, scope: UsageScope, by: Sequence[Dim], grain: int, pieces: Sequence[Piece], only: Only = None
) -> Question:
    """The same sums over whole hours or days of roll-ups."""
    bind = Binds(dialect)
    regular = _regular(pieces)
    table = dialect.pieces(pieces if regular is None else [regular], bind)
    start = "p.start" if regular is None else f"p.start+(t.start_us-p.lo)/{_length(pieces[0])}*{_length(pieces[0])}"
    groups = _groups(by, "s", only, start)
    sums = _SLOTS_WEIGHED[only] if isinstance(only, str) else _SLOTS
    series = f"{conditions(scope, bind, 's')} AND s.level={bind(_level(scope, by, grain))}{_keyed(only, by, bind, 's')}"
    slots = f"t.series=s.id AND t.grain={bind(grain)} AND t.start_us>=p.lo AND t.start_us<p.hi"
    statement = (
        f"SELECT {groups}, {sums} FROM usage_series s {dialect.row_hint(_series_index(scope))} CROSS JOIN {table} "
        f"{dialect.looked_up('usage_slot t', 't', slots)} AND {series} GROUP BY {groups}"
    )
    return statement, bind.values


def _level(scope: UsageScope, by: Sequence[Dim], grain: int) -> int:
    """The series with the fewest slots that still know what is asked for."""
    looked_at: set[str] = {*by, *scope.where}
    if scope.user_id is not None:
        looked_at.add("user_id")
    if scope.organization_id is not None:
        looked_at.add("organization_id")
    if not looked_at & {*PERSONS}:
        return OF_TENANT
    return OF_WHO if grain == DAY and looked_at <= {"user_id", "charge_asset"} else OF_USER


def _series_index(scope: UsageScope) -> str:
    if scope.user_id is None and scope.organization_id is not None:
        return "usage_series_organization"
    if scope.user_id is None and scope.where.get("key_id") is not None:
        return "usage_series_key"
    return "usage_series_user"


def pieces_of(edges_us: Sequence[int], *, has_days: bool) -> tuple[list[Piece], list[Piece], list[Piece]]:
    """The buckets taken apart: pieces of hours, whole hours, whole days. `has_days` False: days are answered by their hours."""
    rows: list[Piece] = []
    hours: list[Piece] = []
    days: list[Piece] = []
    for start, end in pairwise(edges_us):
        whole = _inside(rows, (start, end, start), HOUR_US)
        if whole is not None and has_days:
            whole = _inside(hours, whole, DAY_US)
        if whole is not None:
            (days if has_days else hours).append(whole)
    return rows, hours, days


def _inside(finer: list[Piece], piece: Piece, grain_us: int) -> Piece | None:
    """The whole grains of a piece; what lies before and behind them goes to the finer ones."""
    lo, hi, start = piece
    first, last = -(-lo // grain_us) * grain_us, hi // grain_us * grain_us
    if first >= last:
        finer.append(piece)
        return None
    finer += [(a, b, start) for a, b in ((lo, first), (last, hi)) if a < b]
    return first, last, start


def _by_rows(rows: list[Piece], hours: list[Piece], kept_us: int) -> tuple[list[Piece], list[Piece]]:
    """For all users at once: rows answer for the hours too, which are less than two days, where rows are still kept.

    In the sums of hours every combination that any user ever had would be looked at, most of them in vain.
    """
    return sorted(rows + [piece for piece in hours if piece[0] >= kept_us]), [
        piece for piece in hours if piece[0] < kept_us
    ]


KEPT_SINCE: Final = "SELECT before_us FROM pruned WHERE resource='usage'"
"""From when on every row is still there; no answer: from ever."""


# Answers --------------------------------------------------------------------------------------------------------------


class Weights:
    """Adds up what combinations weigh."""

    def __init__(self) -> None:
        self._weights: dict[Key, tuple[int, int]] = {}

    def add(self, found: Iterable[Sequence[Any]]) -> None:
        """Take in rows of: the dimensions, a weight in two parts, a number of requests."""
        for *key, whole, rest, requests in found:
            place = tuple(key)
            weight, count = self._weights.get(place, (0, 0))
            self._weights[place] = weight + int(whole or 0) * NANO + int(rest or 0), count + int(requests or 0)

    @property
    def count(self) -> int:
        """How many combinations without an empty value were used."""
        return sum(requests > 0 and None not in key for key, (_, requests) in self._weights.items())

    def first(self, limit: int) -> frozenset[Key]:
        """The heaviest."""
        return frozenset(
            heapq.nsmallest(limit, self._weights, key=lambda key: (-self._weights[key][0], _sortable(key)))
        )


class Sums:
    """Adds up what several statements found."""

    def __init__(self, dims: int) -> None:
        self._dims = dims
        self._totals: dict[tuple[int, tuple[str | None, ...]], tuple[list[int], dict[str, int]]] = {}

    def add(self, found: Iterable[Sequence[Any]]) -> None:
        """Take in rows of: the bucket's start, the dimensions, the asset, the measures."""
        cut = len(COUNTED)
        for row in found:
            start, *key = row[: 1 + self._dims]
            asset, *values = row[1 + self._dims :]
            measures = [int(value or 0) for value in values]
            halves = zip(measures[cut::2], measures[cut + 1 :: 2], strict=True)
            *amounts, charge, saving = (whole * NANO + rest for whole, rest in halves)
            amounts.append(saving)
            totals, charged = self._totals.setdefault((int(start), tuple(key)), ([0] * (cut + len(amounts)), {}))
            totals[:] = map(int.__add__, totals, (*measures[:cut], *amounts))
            if asset is not None and charge:
                charged[asset] = charged.get(asset, 0) + charge

    def sums(self, order: Order) -> tuple[UsageSum, ...]:
        """What it came to."""
        made = [_sum(start, key, *found) for (start, key), found in self._totals.items() if found[0][0]]
        return tuple(sorted(made, key=lambda one: (one.start_us, -_weight(one, order), _sortable(one.key))))


def _sum(start: int, key: tuple[str | None, ...], totals: Sequence[int], charged: Mapping[str, int]) -> UsageSum:
    named = dict(zip((*COUNTED, *_SUMMED), totals, strict=True))
    usage = Usage(*(named.pop(name) for name in TOKENS))
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
    dialect: Dialect, scope: UsageScope, edges_us: Sequence[int], by: Sequence[Dim], only: Only = None, *, kept_us: int
) -> Iterator[Question]:
    """The statements that together answer for every bucket between two edges: of one snapshot.

    `kept_us`: from when on every row is still there.
    """
    check_edges(edges_us)
    has_days = _level(scope, by, DAY) != OF_USER
    rows, hours, days = pieces_of(edges_us, has_days=has_days)
    if has_days and _level(scope, by, HOUR) == OF_USER and scope.user_id is None:
        rows, hours = _by_rows(rows, hours, kept_us)
    if rows:
        yield raw_sums(dialect, scope, by, rows, only)
    if hours:
        yield slot_sums(dialect, scope, by, HOUR, hours, only)
    if days:
        yield slot_sums(dialect, scope, by, DAY, days, only)
