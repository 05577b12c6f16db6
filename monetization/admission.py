"""Whether a call may start now. A process runs a bounded number of metered calls and refuses the rest."""

from contextlib import AbstractContextManager, nullcontext

from monetization.callers import Caller
from monetization.errors import Overloaded
from monetization.terms import Terms


class Admission:
    """Counts the metered calls that run in this process. Free methods always pass, so that status can be asked under load."""

    def __init__(self, *, calls_max: int) -> None:
        self.calls_max = calls_max
        self.running = 0

    def admit(self, caller: Caller, terms: Terms) -> AbstractContextManager[object]:
        """Hold a place while the block runs. Entering raises: Overloaded when there is none."""
        del caller  # the process bound does not ask who; limits per caller will
        return _Place(self) if terms.is_metered else _FREE

    def enter(self) -> None:
        """Take a place. Raises: Overloaded."""
        if self.running >= self.calls_max:
            raise Overloaded(
                f"this server runs {self.calls_max} calls already; repeat in a second", retry_after_seconds=1
            )
        self.running += 1

    def leave(self) -> None:
        """Give a place back."""
        self.running -= 1


class _Place:
    """One call's place, a class because a generator costs every call twice as much."""

    __slots__ = ("_admission",)

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def __enter__(self) -> None:
        self._admission.enter()

    def __exit__(self, *ended: object) -> None:
        self._admission.leave()


_FREE = nullcontext()
"""Free methods need no place."""
