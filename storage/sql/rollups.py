"""Roll-ups of usage rows: which sums a row is part of, and by how much it raises each. No statement, no connection.

A series is a combination of dimensions, a slot its sums of one hour or longer (UTC). Every row counts in three series: that of
its tenant without persons (in every grain), of its user with all dimensions (hours), and of its user alone (days). A weight is
the few sums by which users are put in order, of a user alone and a day or longer; weights lie by time, so that a question about
all users reads one range of each grain instead of looking for every user.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter, neg
from typing import Any, Final, TypeAlias, TypeVar

from storage.records.reports import FAILED
from storage.sql.usage_rows import BUCKETS, COLUMNS

# Any: columns hold what the table says.

NANO: Final = 1_000_000_000
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
HOUR: Final = 0
DAY: Final = 1
DAYS_8: Final = 2
DAYS_64: Final = 3
LENGTHS_US: Final = {HOUR: HOUR_US, DAY: DAY_US, DAYS_8: 8 * DAY_US, DAYS_64: 64 * DAY_US}
"""Grains, each of which divides the next, and how long they are. Of eight at most seven lie on either side of a longer one, so a
year is a few pieces wherever it begins."""
OF_TENANT: Final = 0
OF_USER: Final = 1
"""With all dimensions."""
OF_WHO: Final = 2
"""Of a user, or of nobody, without any other dimension than the asset."""

PERSONS: Final = ("user_id", "organization_id", "key_id")
THINGS: Final = (
    "provider", "model", "method", "tier", "caller_kind", "feature", "kind", "unit", "outcome", "source", "charge_asset"
)  # fmt: skip
DIMENSIONS: Final = ("tenant", *PERSONS, *THINGS)
SERIES: Final = ("id", "digest", "level", *DIMENSIONS)
"""The columns of `usage_series`."""
TOKENS: Final = tuple(f"tokens_{bucket}" for bucket in BUCKETS)
COUNTED: Final = (
    "requests", "failed", "partial", "estimated", "unpriced", *TOKENS, "latency_us", "first_byte_us", "first_bytes"
)  # fmt: skip
SPLIT: Final = ("quantity_nano", "cost_nano", "fee_nano", "charge_amount", "saving_nano")
"""Sums that may pass 64 bits and must not stop a charge, so they are kept in two parts: 10^9 and the rest."""
MEASURES: Final = (*COUNTED, *(f"{name}_{part}" for name in SPLIT for part in ("whole", "rest")))
"""What is added up, in this order."""
SINCE_0006: Final = MEASURES[-2:]
"""Those of savings, which slots made before have none of."""
SLOT_KEY: Final = ("series", "grain", "start_us")
SLOT: Final = (*SLOT_KEY, *MEASURES)
"""The columns of `usage_slot`."""
WEIGHT_KEY: Final = ("grain", "start_us", "series")
WEIGHED: Final = ("requests", "tokens", "cost_nano_whole", "cost_nano_rest")
"""What users are put in order by."""
WEIGHT: Final = (*WEIGHT_KEY, *WEIGHED)
"""The columns of `usage_weight`."""

Columns: TypeAlias = Sequence[Any]
"""A usage row as its columns."""
Dimensions: TypeAlias = tuple[str | None, ...]
Ids: TypeAlias = tuple[int, int, int]
"""The ids of a row's series: of its tenant, its user, and the user alone."""
Slot: TypeAlias = tuple[int, ...]
"""What is added somewhere, with its key before it or without."""
EVERY_DAY: Final = 2**62
"""The mark where every day is summed up at once. See `storage.sql.weighing`."""
_SERIES_BITS: Final = 40

Key = TypeVar("Key")
_Many: TypeAlias = defaultdict[tuple[int, int], list[Slot]]
"""What is added to each series, by start and series."""

dimensions_of: Final = itemgetter(*(COLUMNS.index(name) for name in DIMENSIONS))
"""The values of `DIMENSIONS` of a row's columns."""
_told = itemgetter(
    *(COLUMNS.index(name) for name in (
        "occurred_us", "outcome", "is_partial", "is_estimated", "latency_us", "first_byte_us", *SPLIT
    ))
)  # fmt: skip
_FIRST = COLUMNS.index(TOKENS[0])
_LAST = _FIRST + len(TOKENS)
_USED = COUNTED.index(TOKENS[0])
_USED_END = _USED + len(TOKENS)
_COST = MEASURES.index("cost_nano_whole")
LONGER: Final = tuple((grain, length_us) for grain, length_us in LENGTHS_US.items() if grain != HOUR)


def levels(dimensions: Dimensions) -> tuple[Dimensions, Dimensions, Dimensions]:
    """A row's three series: each its level, then the values of `DIMENSIONS`, empty where it does not look."""
    tenant, user_id, *more = dimensions
    things = dimensions[1 + len(PERSONS) :]
    nobody = (None,) * len(PERSONS)
    alone = (None,) * (len(more) - 1)
    return (tenant, *nobody, *things), dimensions, (tenant, user_id, *alone, dimensions[-1])


def digest_of(level: int, dimensions: Dimensions) -> str:
    """What makes a series the same as another: one text, because databases take empty values for different ones.

    Revision 0005 makes the same in SQL.
    """
    said = "".join("|-" if value is None else f"|{len(value)}:{value}" for value in dimensions)
    return hashlib.sha256(f"{level}{said}".encode("utf-8", "replace")).hexdigest()[:32]


def mark_of(day_us: int, series: int) -> int:
    """A day and a series of it as one number, which rises with both."""
    return (day_us // DAY_US << _SERIES_BITS) + series


def marked_day_us(mark: int) -> int:
    """The day of a mark."""
    return (mark >> _SERIES_BITS) * DAY_US


def marked_series(mark: int) -> int:
    """The series of a mark."""
    return mark % (1 << _SERIES_BITS)


def sums(
    rows: Iterable[tuple[Columns, bool]], ids: Mapping[Dimensions, Ids], mark: int = EVERY_DAY
) -> tuple[list[Slot], list[Slot]]:
    """What rows add to their slots and to their weights, one entry for each in the order of their keys.

    True: the row goes away again. `mark`: behind it days are not summed up yet.
    """
    of_rows: defaultdict[tuple[int, Ids], list[Slot]] = defaultdict(list)
    for columns, is_gone in rows:
        occurred_us, measures = _measures(columns)
        of_rows[occurred_us - occurred_us % HOUR_US, ids[dimensions_of(columns)]].append(
            tuple(map(neg, measures)) if is_gone else measures
        )
    tenants: _Many = defaultdict(list)
    days: _Many = defaultdict(list)
    found: list[Slot] = []
    for (hour_us, (tenant, user, who)), measures in _added(of_rows).items():
        tenants[hour_us, tenant].append(measures)
        found.append((user, HOUR, hour_us, *measures))
        days[hour_us - hour_us % DAY_US, who].append(measures)
    hours, of_days = _added(tenants), _added(days)
    found += [(series, HOUR, hour_us, *measures) for (hour_us, series), measures in hours.items()]
    found += [(series, DAY, day_us, *measures) for (day_us, series), measures in of_days.items()]
    late = {key: measures for key, measures in hours.items() if mark_of(*key) <= mark}
    for grain, length_us in LONGER:
        longer = hours if grain == DAY else late
        found += [(series, grain, start_us, *m) for (start_us, series), m in _longer(longer, length_us).items()]
    found.sort()
    return found, _weights({key: measures for key, measures in of_days.items() if mark_of(*key) <= mark})


def _weights(days: Mapping[tuple[int, int], Slot]) -> list[Slot]:
    weighed = {
        key: (measures[0], sum(measures[_USED:_USED_END]), measures[_COST], measures[_COST + 1])
        for key, measures in days.items()
    }
    found: list[Slot] = []
    ordered = sorted(weighed)
    is_one_day = not ordered or ordered[0][0] == ordered[-1][0]
    for grain, length_us in LONGER:
        # The rows of a commit are mostly of one day, whose users weigh and stand in any longer grain as they do in the day.
        longer = weighed if is_one_day else _longer(weighed, length_us)
        keys = ordered if is_one_day else sorted(longer)
        found += [(grain, key[0] - key[0] % length_us, key[1], *longer[key]) for key in keys]
    return found


def _longer(finer: Mapping[tuple[int, int], Slot], length_us: int) -> dict[tuple[int, int], Slot]:
    """The same in a longer grain, by start and series."""
    found: _Many = defaultdict(list)
    for (start_us, series), measures in finer.items():
        found[start_us - start_us % length_us, series].append(measures)
    return _added(found)


def _added(many: Mapping[Key, Sequence[Slot]]) -> dict[Key, Slot]:
    return {
        key: tuple(map(sum, zip(*found, strict=True))) if len(found) > 1 else found[0] for key, found in many.items()
    }


def _measures(columns: Columns) -> tuple[int, tuple[int, ...]]:
    """When the row happened, and the values of `MEASURES`."""
    occurred_us, outcome, partial, estimated, latency, first_byte, quantity, cost, fee, charge, saving = _told(columns)
    tokens = columns[_FIRST:_LAST]
    unpriced = 1 if cost is None and sum(tokens) > 0 else 0
    return occurred_us, (
        1, 1 if outcome in FAILED else 0, partial, estimated, unpriced, *tokens,
        latency, first_byte or 0, 0 if first_byte is None else 1,
        *divmod(quantity or 0, NANO), *divmod(cost or 0, NANO), *divmod(fee or 0, NANO), *divmod(charge or 0, NANO),
        *((0, 0) if saving is None else halves(saving)),
    )  # fmt: skip


def halves(amount: int) -> tuple[int, int]:
    """An amount in two parts as SQL divides: towards zero, so that both have its sign."""
    whole, rest = divmod(abs(amount), NANO)
    return (whole, rest) if amount >= 0 else (-whole, -rest)


def stored(rows: Sequence[Columns], ids: Iterable[str]) -> list[Columns]:
    """Those of the rows that the database took: of each id among `ids` the first."""
    wanted, found = set(ids), []
    for columns in rows:
        if columns[0] in wanted:
            wanted.discard(columns[0])
            found.append(columns)
    return found
