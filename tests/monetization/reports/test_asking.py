"""Series by a dimension: what they hold, and that nothing is made of what cannot be shown."""

import tracemalloc
from collections.abc import Sequence
from typing import Any, cast

import pytest

from monetization.reports.asking import Reports, TooManyGroups, Whose
from monetization.reports.ranges import Range
from storage.records.reports import Dim, TooManySums, UsageSum, UsageTop
from storage.store import Reader

EDGES = tuple(range(1_501))
"""Of as many buckets as a series may have."""
FEATURES = 2_100
Sums = tuple[UsageSum, ...]


class Shelf:
    """A store whose every feature was used once."""

    async def usage_sums(self, *asked: object, by: Sequence[Dim] = (), sums_max: int | None = None) -> Sums:
        del asked
        if by and sums_max is not None and sums_max < FEATURES:
            raise TooManySums
        return tuple(UsageSum(7, (f"f{number}",), requests=1) for number in range(FEATURES if by else 1))

    async def usage_top(self, *asked: object, **by: object) -> UsageTop:
        del asked, by
        return UsageTop((UsageSum(7, ("f1",), requests=1),), FEATURES)


@pytest.fixture
def reports() -> Reports:
    return Reports(cast("Reader", Shelf()), lambda: 0)


async def test_no_zeros_are_made_of_a_series_with_too_many_groups(reports: Reports) -> None:
    """Callers choose the names of their features, so who has many would fill the memory with one question."""
    tracemalloc.start()
    try:
        with pytest.raises(TooManyGroups):
            await reports.series_by(Whose("ann"), EDGES, "feature", groups_max=13)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


async def test_of_more_parts_than_are_looked_at_only_those_are_read_that_come_first(reports: Reports) -> None:
    whole, parts = await reports.dearest(Whose("ann"), Range(0, 9), "feature", 1)
    assert (whole.requests, [part.key for part in parts]) == (1, [("f1",)])


async def test_as_many_groups_as_asked_for_get_a_sum_in_every_bucket(reports: Reports) -> None:
    found: dict[Any, tuple[UsageSum, ...]] = await reports.series_by(
        Whose("ann"), EDGES[:11], "feature", groups_max=FEATURES
    )
    assert len(found) == FEATURES
    assert {len(sums) for sums in found.values()} == {10}
    assert all([one.requests for one in sums] == [0] * 7 + [1, 0, 0] for sums in found.values())
