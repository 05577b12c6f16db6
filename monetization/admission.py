"""Whether a metered call may start now: a place in this process, and the limits of everybody it counts for. Free calls need none.

Everything is taken in one check or nothing is. What the call may use at most is counted until it ends; then what it did use takes
its place. A call that is refused further on (by the plan, the money, the quota) takes nothing of any limit.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Literal, Self

from monetization.callers import Caller
from monetization.calls import Call, Siblings
from monetization.errors import Overloaded
from monetization.limits.bounds import Act, Limits
from monetization.limits.refusing import fault_of
from monetization.settling import receipt_of
from monetization.tab import Tab
from monetization.terms import Most
from storage.ephemeral.limiter import Bound, Limiter, Pass, Refused, Standing
from storage.errors import Fault


class Admission:
    """Admits metered calls. Used from one event loop."""

    def __init__(
        self,
        *,
        calls_max: int,
        limits: Limits,
        limiter: Limiter,
        when_store_is_down: Literal["open", "closed"],
        on_skipped: Callable[[], None],
        on_refused: Callable[[Caller, str | None], None] = lambda _, __: None,
        clock_us: Callable[[], int],
    ) -> None:
        """`on_skipped` is told of every call whose limits were not applied because their store was down.

        `on_refused` is told of callers who are too fast, with their address.
        """
        self.calls_max = calls_max
        self.limits = limits
        self.limiter = limiter
        self.running = 0
        self._when_store_is_down = when_store_is_down
        self._on_skipped = on_skipped
        self._on_refused = on_refused
        self._clock_us = clock_us

    def admit(self, call: Call, caller: Caller, most: Most) -> "AbstractAsyncContextManager[Place]":
        """Hold a place while the block runs. Entering raises: Overloaded, RateLimited."""
        return Place(self, call, caller, most)

    async def look(self, caller: Caller) -> tuple[Standing, ...] | None:
        """Where everybody stands whom a call of this caller counts for. None: the store cannot tell now."""
        bounds = self.limits.bounds(caller)
        return await self.limiter.look(bounds) if bounds else ()

    async def take(self, call: Call, caller: Caller, most: Most) -> Pass | None:
        """Take all that the call needs, or nothing. None: it is not limited. Raises: Overloaded, RateLimited."""
        bounds = self.limits.bounds(caller)
        if not bounds:
            return None
        tokens = self.limits.tokens(caller, most)
        if call.siblings is None:
            taken = await self.limiter.take(bounds, tokens)
        else:
            taken = await self._take_beside(call.siblings, bounds, tokens)
        return self._heard(call, caller, taken)

    async def pace(self, call: Call, caller: Caller, act: Act) -> None:
        """Count an act of a free method against its own limit. Raises: Overloaded, RateLimited."""
        bounds = self.limits.of_act(caller, act)
        taken = self._heard(call, caller, await self.limiter.take(bounds, 0)) if bounds else None
        if taken is not None:
            taken.settle(0)

    def _heard(self, call: Call, caller: Caller, taken: Pass | Refused | None) -> Pass | None:
        if taken is None:
            self._skip()
            return None
        if isinstance(taken, Refused):
            call.standings.append(lambda: taken.standings)
            self._on_refused(caller, call.credential.address)
            raise fault_of(taken, self._clock_us())
        call.standings.append(taken.standings)
        return taken

    async def _take_beside(self, siblings: Siblings, bounds: tuple[Bound, ...], tokens: int) -> Pass | Refused | None:
        """The same for a call of a batch: while others of it have the slots, it waits for one of them to end."""
        while True:
            ends = siblings.ends
            taken = await self.limiter.take(bounds, tokens)
            if not isinstance(taken, Refused) or taken.resource != "concurrent" or not await siblings.one_ended(ends):
                return taken

    def _skip(self) -> None:
        """The store cannot tell: limits fail open and loudly, unless the operator wants them closed."""
        if self._when_store_is_down == "closed":
            raise Overloaded(
                "the limits cannot be checked now, and this server admits nothing unchecked; repeat in a second",
                reason="limits_unavailable",
                retry_after_seconds=1,
            )
        self._on_skipped()


class Place:
    """One call's place, a class because a generator costs every call twice as much."""

    __slots__ = ("_admission", "_call", "_caller", "_most", "_pass", "tab")

    def __init__(self, admission: Admission, call: Call, caller: Caller, most: Most) -> None:
        self._admission = admission
        self._call = call
        self._caller = caller
        self._most = most
        self._pass: Pass | None = None
        self.tab: Tab | None = None
        """Set once a tab is open: it knows what the call has used."""

    async def __aenter__(self) -> Self:
        admission = self._admission
        if admission.running >= admission.calls_max:
            raise Overloaded(
                f"this server runs {admission.calls_max} calls already; repeat in a second", retry_after_seconds=1
            )
        admission.running += 1
        try:
            self._pass = await admission.take(self._call, self._caller, self._most)
        except BaseException:
            admission.running -= 1
            raise
        if self._pass is not None and self._call.siblings is not None:
            self._call.siblings.began()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, ended: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.running -= 1
        taken, tab = self._pass, self.tab
        if taken is None:
            return
        if tab is not None and tab.meter.target is not None:  # else no provider was asked: refused, or answered before
            taken.settle(self._tokens(tab))
        elif isinstance(ended, Fault):
            taken.undo()
        else:
            taken.settle(0)
        if self._call.siblings is not None:
            self._call.siblings.ended()

    def _tokens(self, tab: Tab) -> int:
        """What the call has really used: what was charged, or what was seen where the books could not be written."""
        receipt = receipt_of(tab, self._most)
        return 0 if receipt is None else receipt.usage.tokens_input + receipt.usage.tokens_output
