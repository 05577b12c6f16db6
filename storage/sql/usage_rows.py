"""How a usage row crosses between its record and its columns. Both databases use the same columns in the same order."""

import json
from dataclasses import fields
from operator import attrgetter

from storage.records.usage import Usage, UsageRow

HEAD = (
    "id",
    "request_id",
    "occurred_us",
    "tenant",
    "user_id",
    "organization_id",
    "caller_kind",
    "tier",
    "method",
    "door",
    "provider",
    "model",
    "outcome",
)
BUCKETS = tuple(field.name for field in fields(Usage))
TAIL = (
    "latency_us",
    "first_byte_us",
    "feature",
    "price_version",
    "cost_nano",
    "fee_nano",
    "charge_amount",
    "charge_asset",
)
SINCE_0005 = ("key_id", "kind", "unit", "quantity_nano", "source")
"""Behind all others, so that what was noted of a hold before they came can still be read."""
SINCE_0006 = ("asked_model", "saving_nano")
COLUMNS = (
    *HEAD,
    *(f"tokens_{bucket}" for bucket in BUCKETS),
    *TAIL,
    "is_estimated",
    "is_partial",
    "is_stream",
    "metadata",
    *SINCE_0005,
    *SINCE_0006,
)

_head = attrgetter(*HEAD)
_buckets = attrgetter(*BUCKETS)
_tail = attrgetter(*TAIL)
_since = attrgetter(*SINCE_0005, *SINCE_0006)


def to_columns(row: UsageRow) -> tuple[object, ...]:
    """The values of `COLUMNS`, in that order, in types that every driver takes as they are."""
    flags = (int(row.is_estimated), int(row.is_partial), int(row.is_stream))
    labels = json.dumps(dict(row.metadata)) if row.metadata else None
    return (*_head(row), *_buckets(row.usage), *_tail(row), *flags, labels, *_since(row))


def from_columns(values: tuple[object, ...]) -> UsageRow:
    """The record of one selected row whose columns are `COLUMNS`."""
    cut, end = len(HEAD), len(HEAD) + len(BUCKETS)
    tail = end + len(TAIL)
    named = dict(zip(HEAD, values[:cut], strict=True)) | dict(zip(TAIL, values[end:tail], strict=True))
    is_estimated, is_partial, is_stream, labels, *since = values[tail:]
    named |= dict(zip((*SINCE_0005, *SINCE_0006), since, strict=False))
    return UsageRow(
        **named,  # type: ignore[arg-type]  # the columns are typed by the table
        usage=Usage(*values[cut:end]),  # type: ignore[arg-type]  # same
        is_estimated=bool(is_estimated),
        is_partial=bool(is_partial),
        is_stream=bool(is_stream),
        metadata=json.loads(labels) if isinstance(labels, str) else {},
    )
