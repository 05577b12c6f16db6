"""The parts of holds and charges in quota windows once nobody may ask for them: one row per window keeps their sum.

So a window is still the sum of its parts, whatever has gone. Which rows are old enough the readers ask with what stands here.
"""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final

# Any: rows are a driver's.

PARTS_US: Final = 35 * 24 * 3600 * 1_000_000
"""How long a late settle finds the windows of its hold, counted from the hold's beginning."""
ROWS_MAX: Final = 300
"""Parts in one commit: what a hundred calls leave."""
SUM_ID: Final = 0
"""Stands in the place of a transfer in the row that keeps a window's sum."""


def oldest(booked_before: str, *, since: str, limit: str, ids_end: str | None = None) -> str:
    """The statement for the first parts since an id: transfer, window, and whether the part is closed and old enough.

    What a charge of nothing counted has no transfer of its own; it is as old as the next one.
    """
    within = "" if ids_end is None else f" AND t.id<{ids_end}"
    booked = f"(SELECT t.booked_us FROM transfer t WHERE t.id>=p.transfer_id{within} ORDER BY t.id LIMIT 1)"
    return (
        f"SELECT p.transfer_id, p.window_id, p.settled IS NOT NULL AND coalesce({booked}<{booked_before}, 1=0) "
        f"FROM hold_window p WHERE p.transfer_id>={since} ORDER BY p.transfer_id, p.window_id LIMIT {limit}"
    )


def leading(rows: Sequence[Any]) -> list[tuple[int, int]]:
    """Transfer and window of the rows before the first that has to stay: ids rise with time."""
    return [(transfer_id, window_id) for transfer_id, window_id, is_old in takewhile(lambda row: row[2], rows)]


def sums_of(closed: Sequence[tuple[int, int]], kept: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """By window, what its parts that go have settled and what was kept before of others."""
    found: dict[int, int] = {}
    for window_id, settled in closed:
        found[window_id] = found.get(window_id, 0) + settled
    for window_id, settled in kept:
        found[window_id] += settled
    return sorted(found.items())
