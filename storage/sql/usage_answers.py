"""What the statements about usage found, added up. No statement, no connection."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from storage.records.reports import Order, TooManySums, UsageSum
from storage.records.usage import Usage
from storage.sql.rollups import COUNTED, NANO, SPLIT, TOKENS

# Any: what comes back holds what its tables say.

Key: TypeAlias = tuple[str | None, ...]
"""Values of the dimensions that were asked for."""
ROWS_PER_SUM: Final = 8
"""Rows that one statement finds for a sum at most: one for each asset that paid, and one for what nothing paid."""
_SUMMED: Final = tuple(name for name in SPLIT if name != "charge_amount")
"""What is summed whatever the asset."""


def firsts(found: Sequence[Sequence[Any]], limit: int) -> tuple[frozenset[Key], int]:
    """Of the answer to a top question those that come first, and how many were used in all."""
    return frozenset(tuple(key) for *key, _ in found[:limit]), int(found[0][-1]) if found else 0


class Sums:
    """Adds up what several statements found."""

    def __init__(self, dims: int, sums_max: int | None = None) -> None:
        self._dims = dims
        self._sums_max = sums_max
        self._totals: dict[tuple[int, tuple[str | None, ...]], tuple[list[int], dict[str, int]]] = {}

    def add(self, found: Sequence[Sequence[Any]]) -> None:
        """Take in rows of: the bucket's start, the dimensions, the asset, the measures. Raises: TooManySums."""
        self._check(found)
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

    def _check(self, found: Sequence[Sequence[Any]]) -> None:
        """Raises: TooManySums, before anything is added."""
        most = self._sums_max
        if most is None or len(found) + len(self._totals) <= most:
            return
        if len(found) > most * ROWS_PER_SUM:  # which is where its statement ends
            raise TooManySums
        keys = {(int(row[0]), tuple(row[1 : 1 + self._dims])) for row in found}
        if len(keys | self._totals.keys()) > most:
            raise TooManySums

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
