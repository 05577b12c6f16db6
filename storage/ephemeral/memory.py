"""The counters of one process. Nothing here waits: a check of three subjects takes a few microseconds. Others do not see them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from storage.ephemeral.limiter import STEP_US, STEPS, Bound, Pass, Refused, Resource, Standing

_GONE: Final = -1
"""The number of a step that has left its window."""
_LOOKED_AT: Final = 2
"""Old windows that are looked at for each new one, so that idle ones go as fast as new ones come."""

_Lack: TypeAlias = tuple[Bound, Resource, int | None]
"""A limit without room, and the step at which it has room again. None: nobody knows."""


class _Step:
    """What was admitted in one step."""

    __slots__ = ("at", "requests", "tokens")

    def __init__(self, at: int) -> None:
        self.at = at
        self.requests = 0
        self.tokens = 0


class _Window:
    """One subject: the steps of the last minute, oldest first, their sums, and the calls that run."""

    __slots__ = ("requests", "running", "steps", "tokens")

    def __init__(self) -> None:
        self.steps: deque[_Step] = deque()
        self.requests = 0
        self.tokens = 0
        self.running = 0

    def advance(self, at: int) -> None:
        """Let go of what has left the window."""
        steps = self.steps
        while steps and steps[0].at < at - STEPS:
            gone = steps.popleft()
            self.requests -= gone.requests
            self.tokens -= gone.tokens
            gone.at = _GONE

    def has_room(self, bound: Bound, tokens: int) -> bool:
        """Whether one more request with so many tokens may be admitted."""
        if bound.requests is not None and self.requests >= bound.requests:
            return False
        if bound.concurrent is not None and self.running >= bound.concurrent:
            return False
        limit = bound.tokens
        # More than a whole window allows is admitted into an empty one, and then fills it.
        return limit is None or not tokens or self.tokens + tokens <= limit or self.tokens == 0 < limit

    def lacks(self, bound: Bound, tokens: int) -> Iterator[_Lack]:
        """The limits that have no room."""
        if bound.concurrent is not None and self.running >= bound.concurrent:
            yield bound, "concurrent", None
        if bound.requests is not None and self.requests >= bound.requests:
            yield bound, "requests", self._free_at(self.requests + 1 - bound.requests) if bound.requests else None
        limit = bound.tokens
        if limit is not None and tokens and self.tokens + tokens > limit and not self.tokens == 0 < limit:
            excess = self.tokens + min(tokens - limit, 0)
            yield bound, "tokens", self._free_at(excess, of_tokens=True) if limit else None

    def _free_at(self, excess: int, *, of_tokens: bool = False) -> int:
        """The step in which so much has left the window."""
        last = 0
        for step in self.steps:
            last = step.at
            excess -= step.tokens if of_tokens else step.requests
            if excess <= 0:
                break
        return last + STEPS + 1

    def add(self, at: int, tokens: int) -> _Step:
        """Count one request."""
        steps = self.steps
        if steps and steps[-1].at == at:
            step = steps[-1]
        else:
            step = _Step(at)
            steps.append(step)
        step.requests += 1
        step.tokens += tokens
        self.requests += 1
        self.tokens += tokens
        self.running += 1
        return step


class _Taken:
    """See `Pass`."""

    __slots__ = ("_bounds", "_limiter", "_steps", "_tokens", "_windows")

    def __init__(
        self, limiter: "MemoryLimiter", bounds: Sequence[Bound], windows: list[_Window], steps: list[_Step], tokens: int
    ) -> None:
        self._limiter = limiter
        self._bounds = bounds
        self._windows = windows
        self._steps = steps
        self._tokens = tokens

    def settle(self, tokens: int) -> None:
        self._correct(0, tokens - self._tokens)

    def undo(self) -> None:
        self._correct(-1, -self._tokens)

    def standings(self) -> tuple[Standing, ...]:
        return self._limiter.standings(self._bounds, self._windows)

    def _correct(self, requests: int, tokens: int) -> None:
        for window, step in zip(self._windows, self._steps, strict=True):
            window.running -= 1
            if step.at != _GONE:
                step.requests += requests
                step.tokens += tokens
                window.requests += requests
                window.tokens += tokens


class MemoryLimiter:
    """The limiter of a server that is one process."""

    def __init__(self, clock_us: Callable[[], int]) -> None:
        """`clock_us`: microseconds that never run backwards."""
        self._clock_us = clock_us
        self._windows: dict[str, _Window] = {}

    @property
    def subjects(self) -> int:
        """How many subjects it remembers."""
        return len(self._windows)

    async def take(self, bounds: Sequence[Bound], tokens: int) -> Pass | Refused | None:
        """See `Limiter`. It never waits."""
        at = self._clock_us() // STEP_US
        windows: list[_Window] = []
        for bound in bounds:
            window = self._windows.get(bound.key)
            if window is None:
                window = self._new(bound.key, at, bounds)
            steps = window.steps
            if steps and steps[0].at < at - STEPS:
                window.advance(at)
            windows.append(window)
        for bound, window in zip(bounds, windows, strict=True):
            if not window.has_room(bound, tokens):
                return self._refused(bounds, windows, tokens)
        return _Taken(self, bounds, windows, [window.add(at, tokens) for window in windows], tokens)

    async def look(self, bounds: Sequence[Bound]) -> tuple[Standing, ...] | None:
        """See `Limiter`."""
        return self.standings(bounds, [self._windows.get(bound.key) or _Window() for bound in bounds])

    def standings(self, bounds: Sequence[Bound], windows: Sequence[_Window]) -> tuple[Standing, ...]:
        """Where the subjects of these windows stand."""
        now = self._clock_us()
        found = []
        for bound, window in zip(bounds, windows, strict=True):
            window.advance(now // STEP_US)
            reset = (window.steps[0].at + STEPS + 1) * STEP_US - now if window.steps else 0
            found.append(Standing(bound, window.requests, window.tokens, window.running, reset))
        return tuple(found)

    def _refused(self, bounds: Sequence[Bound], windows: Sequence[_Window], tokens: int) -> Refused:
        """The refusal by the limit that has no room for longest; slots come last, because nobody knows when one is free."""
        lacks = [lack for bound, window in zip(bounds, windows, strict=True) for lack in window.lacks(bound, tokens)]
        bound, resource, free = max(lacks, key=_end)
        wait_us = None if free is None else free * STEP_US - self._clock_us()
        return Refused(bound, resource, wait_us, self.standings(bounds, windows))

    def _new(self, key: str, at: int, wanted: Sequence[Bound]) -> _Window:
        known = self._windows
        for old in [key for key, _ in zip(known, range(_LOOKED_AT), strict=False)]:
            window = known.pop(old)
            window.advance(at)
            if window.steps or window.running or any(bound.key == old for bound in wanted):
                known[old] = window  # again at the end: the next ones are looked at first
        made = known[key] = _Window()
        return made


def _end(lack: _Lack) -> tuple[int, int]:
    """By when a lack ends. A zero limit never ends; when a slot is free nobody knows, so a time that is known says more."""
    _, resource, free = lack
    if free is not None:
        return 1, free
    return (0, 0) if resource == "concurrent" else (2, 0)
