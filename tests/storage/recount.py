"""What a question about usage must be answered with: the rows themselves, counted one by one."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any

from storage.records.reports import FAILED, Dim, UsageScope, UsageSum
from storage.records.usage import Usage, UsageRow


def recount(
    rows: Iterable[UsageRow], scope: UsageScope, edges_us: Sequence[int], by: Sequence[Dim] = ()
) -> dict[tuple[int, tuple[str | None, ...]], UsageSum]:
    """Every sum by its bucket's start and its dimensions."""
    found: dict[tuple[int, tuple[str | None, ...]], list[UsageRow]] = {}
    for row in rows:
        start = next((a for a, b in pairwise(edges_us) if a <= row.occurred_us < b), None)
        if start is not None and _is_in(row, scope):
            found.setdefault((start, tuple(getattr(row, dim) for dim in by)), []).append(row)
    return {(start, key): _sum(start, key, group) for (start, key), group in found.items()}


def _is_in(row: UsageRow, scope: UsageScope) -> bool:
    return (
        row.tenant == scope.tenant
        and scope.user_id in (None, row.user_id)
        and scope.organization_id in (None, row.organization_id)
        and all(getattr(row, dim) == value for dim, value in scope.where.items())
    )


def _sum(start: int, key: tuple[str | None, ...], rows: Sequence[UsageRow]) -> UsageSum:
    charged: dict[str, int] = {}
    for row in rows:
        if row.charge_asset is not None and row.charge_amount:
            charged[row.charge_asset] = charged.get(row.charge_asset, 0) + row.charge_amount
    return UsageSum(
        start_us=start,
        key=key,
        requests=len(rows),
        failed=sum(row.outcome in FAILED for row in rows),
        partial=sum(row.is_partial for row in rows),
        estimated=sum(row.is_estimated for row in rows),
        unpriced=sum(row.cost_nano is None and row.usage.tokens_total > 0 for row in rows),
        usage=Usage(*(sum(getattr(row.usage, bucket.name) for row in rows) for bucket in fields(Usage))),
        charged=charged,
        first_bytes=sum(row.first_byte_us is not None for row in rows),
        **{
            name: _of(rows, name)
            for name in ("quantity_nano", "cost_nano", "fee_nano", "saving_nano", "latency_us", "first_byte_us")
        },
    )


def _of(rows: Iterable[UsageRow], name: str) -> Any:  # a number
    return sum(getattr(row, name) or 0 for row in rows)
