"""How soon each target has answered lately: a decayed average in this process, of a bounded number of targets."""

from collections.abc import Callable, Iterable
from typing import Final

from monetization.terms import Target

HALF_LIFE_SECONDS: Final = 30.0
"""After so long without an answer, what is remembered weighs half as much against the next one."""
KEPT: Final = 0.8
"""What is remembered weighs so much against an answer that follows at once."""
LOOK_AGAIN_SECONDS: Final = 60.0
"""A target that was not asked for so long is asked once, because it may be faster by now."""
PENALTY_SECONDS: Final = 10.0
"""What a failure counts for on top of the time it took: who fails at once is not fast."""


class _Seen:
    __slots__ = ("average", "begun", "ended")

    def __init__(self) -> None:
        self.average: float | None = None
        self.ended = float("-inf")
        self.begun = float("-inf")


class Latencies:
    """Seconds from asking to the first output, the whole answer where it is not streamed. `clock` gives monotonic seconds.

    Only the targets named at the start are remembered.
    """

    def __init__(self, targets: Iterable[tuple[str, str]], clock: Callable[[], float]) -> None:
        """`targets`: provider and model."""
        self._seen = {target: _Seen() for target in targets}
        self._clock = clock

    def begins(self, provider: str, model: str) -> None:
        """A target is being asked."""
        seen = self._seen.get((provider, model))
        if seen is not None:
            seen.begun = self._clock()

    def answered(self, provider: str, model: str, seconds: float) -> None:
        """Its first output came after so long."""
        seen = self._seen.get((provider, model))
        if seen is not None:
            self._take(seen, seconds)

    def failed(self, provider: str, model: str, seconds: float) -> None:
        """It failed after so long, before any output."""
        self.answered(provider, model, seconds + PENALTY_SECONDS)

    def rank(self, target: Target) -> float:
        """Lower is better. Who was not asked for a while comes first, and only until it is asked; unknown targets come last."""
        seen = self._seen.get((target.provider, target.model))
        if seen is None:
            return float("inf")
        now = self._clock()
        if now - max(seen.ended, seen.begun) >= LOOK_AGAIN_SECONDS:
            return -1.0
        return float("inf") if seen.average is None else seen.average

    def _take(self, seen: _Seen, seconds: float) -> None:
        now = self._clock()
        if seen.average is None:
            seen.average = seconds
        else:
            kept = KEPT * 0.5 ** ((now - seen.ended) / HALF_LIFE_SECONDS)
            seen.average = kept * seen.average + (1 - kept) * seconds
        seen.ended = now
