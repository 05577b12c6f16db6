"""Questions about usage as statements of either database. No connection, no statement that writes."""
# ruff: noqa: S608  # statements are built from our own names, never from values

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from storage.records.money import NEVER_US
from storage.records.reports import FAILED, Dim, UsageScope
from storage.sql.rollups import (
    DAY,
    DAYS_8,
    DAYS_64,
    HOUR,
    MEASURES,
    NANO,
    OF_TENANT,
    OF_USER,
    OF_WHO,
    PERSONS,
    SPLIT,
    TOKENS,
)
from storage.sql.usage_answers import ROWS_PER_SUM, Key
from storage.sql.usage_pieces import ROWS, Piece, by_rows, check_edges, length_of, pieces_of, regular
from storage.sql.usage_rows import COLUMNS
from storage.sql.weighing import Kept

# Any: what is asked for holds what its tables say.

Only: TypeAlias = frozenset[Key] | None
"""The combinations whose sums are wanted. None: everybody's."""
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
_RAW: Final = ", ".join(RAW)
_SLOTS: Final = ", ".join(f"sum(t.{name})" for name in MEASURES)
ALL_GRAINS: Final = (HOUR, DAY, DAYS_8, DAYS_64)
_GRAINS: Final = {OF_TENANT: ALL_GRAINS, OF_WHO: (HOUR, DAY), OF_USER: (HOUR,)}
"""What sums are kept of, by the level that a question about days is answered from."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database takes values, and a list of pieces as a table `p` of lo, hi and start."""

    mark: Callable[[int], str]
    pieces: Callable[[Sequence[Piece], "Binds"], str]
    row_hint: Callable[[str], str]
    """What to write behind a table to name the index that answers."""
    looked_up: Callable[[str, str, str], str]
    """A table under an alias, on a condition, to be looked up for each row of what stands before it."""
    by_code: str
    """What to write behind a text to order it by its characters' codes."""


class Binds:
    """The values of one statement, in the order of their marks."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.values: list[Any] = []

    def __call__(self, value: Any) -> str:
        """The mark of one more value."""
        self.values.append(value)
        return self.dialect.mark(len(self.values))


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


SQLITE: Final = Dialect(lambda number: f"?{number}", json_pieces, lambda index: f"INDEXED BY {index}", _joined, "")
POSTGRES: Final = Dialect(lambda number: f"${number}", array_pieces, lambda _: "", _lateral, ' COLLATE "C"')


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
    hint = dialect.row_hint(_row_index(scope))
    columns = ", ".join(f"u.{name}" for name in COLUMNS)
    statement = (
        f"SELECT u.seq, {columns} FROM usage u {hint} WHERE {conditions(scope, bind, 'u')} "
        f"AND u.occurred_us>={bind(since_us)} AND u.occurred_us<{bind(until_us)} "
        f"AND (u.occurred_us, u.seq) < ({bind(after[0])}, {bind(after[1])}) "
        f"ORDER BY u.occurred_us DESC, u.seq DESC LIMIT {bind(limit)}"
    )
    return statement, bind.values


def of_rows(
    bind: Binds, scope: UsageScope, pieces: Sequence[Piece], *, groups: str, sums: str, index: str, more: str = ""
) -> str:
    """Sums over rows: the groups, then what is summed."""
    dialect = bind.dialect
    table = dialect.pieces(pieces, bind)
    wanted = f"{conditions(scope, bind, 'u')} AND u.occurred_us>=p.lo AND u.occurred_us<p.hi"
    looked_up = dialect.looked_up(f"usage u {dialect.row_hint(index)}", "u", wanted)
    return f"SELECT {groups}, {sums} FROM {table} {looked_up}{more} GROUP BY {groups}"


def of_slots(
    bind: Binds,
    scope: UsageScope,
    pieces: Sequence[Piece],
    *,
    grain: int,
    level: int,
    groups: str,
    sums: str,
    more: str = "",
) -> str:
    """The same sums over whole hours, days or longer of roll-ups."""
    dialect = bind.dialect
    table = dialect.pieces(pieces, bind)
    series = f"{conditions(scope, bind, 's')} AND s.level={bind(level)}{more}"
    slots = f"t.series=s.id AND t.grain={bind(grain)} AND t.start_us>=p.lo AND t.start_us<p.hi"
    return (
        f"SELECT {groups}, {sums} FROM usage_series s {dialect.row_hint(_series_index(scope))} CROSS JOIN {table} "
        f"{dialect.looked_up('usage_slot t', 't', slots)} AND {series} GROUP BY {groups}"
    )


def level_of(scope: UsageScope, by: Sequence[Dim], grain: int) -> int:
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


def _row_index(scope: UsageScope, by: Sequence[Dim] = (), only: Only = None) -> str:
    if scope.user_id is not None or (only is not None and _is_named(by, only) and by[0] == "user_id"):
        return "usage_by_user"
    return "usage_by_time" if scope.organization_id is None else "usage_by_organization"


def _is_named(by: Sequence[Dim], only: frozenset[Key]) -> bool:
    """True where a list of texts says who is wanted, which an index answers."""
    return len(by) == 1 and all(value is not None for (value,) in only)


def _keyed(only: Only, by: Sequence[Dim], bind: Binds, alias: str) -> str:
    if only is None:
        return ""
    if len(by) == 1:
        column, named = f"{alias}.{by[0]}", [value for (value,) in only if value is not None]
        terms = [f"{column} IN ({', '.join(map(bind, named))})"] if named else []
        terms += [] if len(named) == len(only) else [f"{column} IS NULL"]
        return f" AND ({' OR '.join(terms)})"
    keys = (
        " AND ".join(_is(f"{alias}.{dim}", value, bind) for dim, value in zip(by, key, strict=True)) for key in only
    )
    return f" AND ({' OR '.join(f'({key})' for key in keys)})"


def divided(
    scope: UsageScope, by: Sequence[Dim], edges_us: Sequence[int], *, kept: Kept, of_weights: bool = False
) -> dict[int, list[Piece]]:
    """What answers for each piece of the buckets. `of_weights`: for days and longer, weights instead of slots."""
    check_edges(edges_us)
    grains = ALL_GRAINS if of_weights else _GRAINS[level_of(scope, by, DAY)]
    at_once = (HOUR,) if of_weights else (HOUR, DAY)
    pieces = pieces_of(edges_us, {grain: NEVER_US if grain in at_once else kept.weighed_us for grain in grains})
    if DAY in grains and scope.user_id is None and level_of(scope, by, HOUR) == OF_USER:
        by_rows(pieces, HOUR, kept.rows_us)
    return pieces


def questions(
    dialect: Dialect,
    scope: UsageScope,
    edges_us: Sequence[int],
    by: Sequence[Dim],
    only: Only = None,
    *,
    kept: Kept,
    sums_max: int | None = None,
) -> Iterator[Question]:
    """The statements that together answer for every bucket between two edges: of one snapshot.

    Each finds the bucket's start, the dimensions, the asset, the measures; of more than `sums_max` not all.
    """
    for grain, pieces in divided(scope, by, edges_us, kept=kept).items():
        if pieces:
            bind = Binds(dialect)
            statement = _question(bind, scope, by, grain, pieces, only)
            if sums_max is not None:
                statement += f" LIMIT {bind(sums_max * ROWS_PER_SUM + 1)}"
            yield statement, bind.values


def _question(
    bind: Binds, scope: UsageScope, by: Sequence[Dim], grain: int, pieces: Sequence[Piece], only: Only
) -> str:
    if grain == ROWS:
        groups, index = _groups(by, "u", "p.start"), _row_index(scope, by, only)
        more = _keyed(only, by, bind, "u")
        return of_rows(bind, scope, pieces, groups=groups, sums=_RAW, index=index, more=more)
    one, length = regular(pieces), length_of(pieces[0])
    start = "p.start" if one is None else f"p.start+(t.start_us-p.lo)/{length}*{length}"
    return of_slots(
        bind,
        scope,
        pieces if one is None else [one],
        grain=grain,
        level=level_of(scope, by, grain),
        groups=_groups(by, "s", start),
        sums=_SLOTS,
        more=_keyed(only, by, bind, "s"),
    )


def _groups(by: Sequence[Dim], alias: str, start: str) -> str:
    return ", ".join([start, *(f"{alias}.{dim}" for dim in by), f"{alias}.charge_asset"])
