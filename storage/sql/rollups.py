"""Roll-ups of usage rows: which sums a row is part of, and by how much it raises each. No statement, no connection.

A series is a combination of dimensions, a slot its sums of one hour or day (UTC). Every row counts in three series: that of its
tenant without persons (hours and days), of its user with all dimensions (hours), and of its user alone (days).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from operator import add, itemgetter, neg
from typing import Any, Final, TypeAlias, TypeVar

from storage.records.reports import FAILED
from storage.sql.usage_rows import BUCKETS, COLUMNS

# Any: columns hold what the table says.

NANO: Final = 1_000_000_000
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
HOUR: Final = 0
DAY: Final = 1
"""Grains."""
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

Columns: TypeAlias = Sequence[Any]
"""A usage row as its columns."""
Dimensions: TypeAlias = tuple[str | None, ...]
Ids: TypeAlias = tuple[int, int, int]
"""The ids of a row's series: of its tenant, its user, and the user alone."""
Slot: TypeAlias = tuple[int, ...]
"""What is added somewhere, with its key before it or without."""
Key = TypeVar("Key")

dimensions_of: Final = itemgetter(*(COLUMNS.index(name) for name in DIMENSIONS))
"""The values of `DIMENSIONS` of a row's columns."""
_told = itemgetter(
    *(COLUMNS.index(name) for name in (
        "occurred_us", "outcome", "is_partial", "is_estimated", "latency_us", "first_byte_us", *SPLIT
    ))
)  # fmt: skip
_FIRST = COLUMNS.index(TOKENS[0])
_LAST = _FIRST + len(TOKENS)


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


def slots(rows: Iterable[tuple[Columns, bool]], ids: Mapping[Dimensions, Ids]) -> list[Slot]:
    """What rows add to their slots, one entry for each slot in the order of their keys. True: the row goes away again."""
    # Rows of the same slots are added up first: a batch holds many, and each is so added once instead of four times.
    alike: dict[tuple[Dimensions, int], list[Slot]] = {}
    for columns, is_gone in rows:
        occurred_us, measures = _measures(columns)
        if is_gone:
            measures = tuple(map(neg, measures))
        key = (dimensions_of(columns), occurred_us - occurred_us % HOUR_US)
        if key in alike:
            alike[key].append(measures)
        else:
            alike[key] = [measures]
    found: dict[tuple[int, int, int], Slot] = {}
    for (dimensions, hour_us), many in alike.items():
        measures = tuple(map(sum, zip(*many, strict=True))) if len(many) > 1 else many[0]
        tenant, user, who = ids[dimensions]
        day_us = hour_us - hour_us % DAY_US
        for slot in ((tenant, HOUR, hour_us), (tenant, DAY, day_us), (user, HOUR, hour_us), (who, DAY, day_us)):
            _raise(found, slot, measures)
    return [(*key, *found[key]) for key in sorted(found)]


def _raise(sums: dict[Key, Slot], key: Key, measures: Slot) -> None:
    before = sums.get(key)
    sums[key] = measures if before is None else tuple(map(add, before, measures))


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
