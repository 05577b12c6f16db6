"""Plain numbers that a call adds to, taken over by the metrics when somebody looks. What is counted is named in `metrics`.

A counter of the library takes a lock for each step and a histogram three of them, which came to 8 us of every call; a tally takes
0.2 us. Used from one thread.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import Counter, Histogram

LABELS_MAX: Final = 1024
"""Of label sets in one tally: then it is handed over at once, so that nobody's words pile up while nobody looks."""

Labels = tuple[str, ...]


class Counts:
    """Steps of one counter by labels."""

    __slots__ = ("_child", "_pending")

    def __init__(self, child: Callable[..., Counter]) -> None:
        """`child` finds the library's counter of some labels."""
        self._child = child
        self._pending: dict[Labels, float] = {}

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Count."""
        pending = self._pending
        pending[labels] = pending.get(labels, 0) + amount
        if len(pending) > LABELS_MAX:
            self.hand_over()

    def hand_over(self) -> None:
        """Let the library have what was counted."""
        pending, self._pending = self._pending, {}
        for labels, amount in pending.items():
            self._child(*labels).inc(amount)


class _Seen:
    """Observations of one set of labels."""

    __slots__ = ("buckets", "total")

    def __init__(self, count: int) -> None:
        self.buckets = [0] * count
        self.total = 0.0


class Spread:
    """Observations of one histogram by labels."""

    __slots__ = ("_bounds", "_child", "_pending")

    def __init__(self, child: Callable[..., Histogram], bounds: Sequence[float]) -> None:
        """`bounds` are the histogram's own, ascending, without infinity."""
        self._child = child
        self._bounds = tuple(bounds)
        self._pending: dict[Labels, _Seen] = {}

    def add(self, labels: Labels, value: float) -> None:
        """Observe."""
        seen = self._pending.get(labels)
        if seen is None:
            if len(self._pending) >= LABELS_MAX:
                self.hand_over()
            seen = self._pending[labels] = _Seen(len(self._bounds) + 1)
        seen.buckets[bisect_left(self._bounds, value)] += 1
        seen.total += value

    def hand_over(self) -> None:
        """Let the library have what was observed."""
        pending, self._pending = self._pending, {}
        for labels, seen in pending.items():
            child = self._child(*labels)
            # The library takes observations one by one only; a test compares this with what it does for each.
            child._sum.inc(seen.total)  # noqa: SLF001  # see above
            for bucket, count in zip(child._buckets, seen.buckets, strict=True):  # noqa: SLF001  # same
                if count:
                    bucket.inc(count)
