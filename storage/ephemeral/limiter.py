"""What a limiter counts and answers, whatever keeps the counters. Which limits a caller has is decided two floors up.

The window slides in steps of a tenth of a second: everything that was admitted in one step leaves the window together, a whole
window after the step's end. So no window of 60 s, wherever it begins, ever holds more than the limit; what is lost to that
caution is at most one step in 600, and a counter never keeps more than 601 numbers, however high its limit is.
"""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

from storage.records.fact import fact

WINDOW_US: Final = 60_000_000
"""The window of requests and tokens, in microseconds."""
STEP_US: Final = 100_000
STEPS: Final = WINDOW_US // STEP_US

Resource = Literal["requests", "tokens", "concurrent"]


@fact
class Bound:
    """The limits of one subject. None: not limited."""

    kind: str
    """Whom it counts, as callers see it: user, organization, key, address."""
    key: str
    """Under which it is counted. The keys of one call begin with the same hash tag in braces, so that a Redis Cluster keeps
    them on one node, where one script can check them all (Redis Cluster specification, "Hash tags")."""
    requests: int | None = None
    """Admitted requests in any window."""
    tokens: int | None = None
    """Tokens of the requests admitted in any window."""
    concurrent: int | None = None
    """Requests at the same time."""


@fact
class Standing:
    """Where one subject stands."""

    bound: Bound
    requests: int
    """Counted in the window."""
    tokens: int
    """Counted in the window: the estimate of calls that run, what they really used of those that have ended."""
    running: int
    reset_us: int
    """Microseconds until the oldest of them leaves the window; 0: it is empty."""


@fact
class Refused:
    """Nothing was taken, because one limit at least has no room."""

    bound: Bound
    resource: Resource
    wait_us: int | None
    """Microseconds after which the same call has room if nothing else comes in between. None: nobody knows (somebody else's
    call must end first, or the limit is zero)."""
    standings: tuple[Standing, ...]


class Pass(Protocol):
    """What one admitted call has taken. Exactly one of `settle` and `undo` ends it; neither waits nor fails."""

    def settle(self, tokens: int) -> None:
        """The call has ended and used so many tokens: they replace the estimate, and its slot is free again."""
        ...

    def undo(self) -> None:
        """The call was refused further on: it takes nothing of any limit."""
        ...

    def standings(self) -> tuple[Standing, ...]:
        """Where its subjects stand: now in memory, as they stood at admission elsewhere."""
        ...


class Limiter(Protocol):
    """Keeps the counters."""

    async def take(self, bounds: Sequence[Bound], tokens: int) -> Pass | Refused | None:
        """Take one request, a slot and the tokens from every bound, or nothing from any. None: the store cannot tell now.

        A request for more tokens than a whole window allows is admitted when the window holds none.
        """
        ...

    async def look(self, bounds: Sequence[Bound]) -> tuple[Standing, ...] | None:
        """Where the subjects stand; nothing is taken. None: the store cannot tell now."""
        ...
