"""Whether a call may start now. A process runs a bounded number of metered calls and refuses the rest."""

from collections.abc import Iterator
from contextlib import contextmanager

from monetization.callers import Caller
from monetization.errors import Overloaded
from monetization.terms import Terms


class Admission:
    """Counts the metered calls that run in this process. Free methods always pass, so that status can be asked under load."""

    def __init__(self, *, calls_max: int) -> None:
        self.calls_max = calls_max
        self.running = 0

    @contextmanager
    def admit(self, caller: Caller, terms: Terms) -> Iterator[None]:
        """Hold a place while the block runs. Raises: Overloaded when there is none."""
        del caller  # the process bound does not ask who; limits per caller will
        if not terms.is_metered:
            yield
            return
        if self.running >= self.calls_max:
            raise Overloaded(
                f"this server runs {self.calls_max} calls already; repeat in a second", retry_after_seconds=1
            )
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
