"""Leaves a provider alone that keeps failing, so that callers learn it at once. State in this process only."""

from collections.abc import Callable
from types import TracebackType
from typing import Literal

from methods.dialects.canonical import ChatReply
from methods.errors import ProviderFailed, ProviderTimedOut
from methods.providers import faults
from methods.providers.base import Ask, Batches, Provider
from methods.providers.wrapping import Stream, WrappedStream, Wrapping

State = Literal["closed", "open", "half_open"]


class Breaker(Wrapping):
    """Opens after `failures` in a row, refuses for `seconds`, then lets one call try.

    Only what speaks against the provider counts (`faults.UNWELL`): not a refused request, not a rate limit, not a caller's own
    key. `clock` gives monotonic seconds.
    """

    def __init__(
        self, inner: Provider, *, clock: Callable[[], float], failures: int = 5, seconds: float = 30.0
    ) -> None:
        super().__init__(inner)
        self._clock = clock
        self._failures_max = failures
        self._seconds = seconds
        self._failures = 0
        self._opened: float | None = None
        self._is_trying = False

    @property
    def state(self) -> State:
        """What a call made now would meet."""
        if self._opened is None:
            return "closed"
        return "open" if self._is_trying or self._clock() - self._opened < self._seconds else "half_open"

    async def complete(self, ask: Ask) -> ChatReply:
        """The inner provider's answer. Raises: also ProviderFailed (`provider_circuit_open`)."""
        if self._opened is not None:
            self._try()
        try:
            reply = await self.inner.complete(ask)
        except BaseException as fault:
            self._take(fault, is_own_key=ask.own_key is not None)
            raise
        self._close()
        return reply

    def stream(self, ask: Ask) -> Stream:
        """The inner provider's stream. A stream that has begun and is then left by its reader speaks well of the provider."""
        return _Guarded(self.inner.stream(ask), self, is_own_key=ask.own_key is not None)

    def admit(self) -> None:
        """Let a call through. Raises: ProviderFailed (`provider_circuit_open`)."""
        if self._opened is not None:
            self._try()

    def ended(self, fault: BaseException | None, *, has_begun: bool, is_own_key: bool) -> None:
        """Learn from the end of a stream."""
        if fault is None or (has_begun and not _is_unwell(fault, is_own_key=is_own_key)):
            self._close()
        else:
            self._take(fault, is_own_key=is_own_key)

    def _try(self) -> None:
        assert self._opened is not None
        left = self._opened + self._seconds - self._clock()
        if left > 0 or self._is_trying:
            raise ProviderFailed(
                f"provider {self.name!r} has failed {self._failures} times in a row and is left alone for a while",
                reason=faults.CIRCUIT_OPEN,
                retry_after_seconds=max(1.0, round(left, 3)),
                data={"provider": self.name},
            )
        self._is_trying = True

    def _take(self, fault: BaseException, *, is_own_key: bool) -> None:
        """Count a failure; whatever else ended a trial leaves the question to the next call."""
        self._is_trying = False
        if not _is_unwell(fault, is_own_key=is_own_key):
            return
        self._failures += 1
        if self._failures >= self._failures_max:
            self._opened = self._clock()

    def _close(self) -> None:
        self._failures = 0
        self._opened = None
        self._is_trying = False


def _is_unwell(fault: BaseException, *, is_own_key: bool) -> bool:
    if is_own_key and isinstance(fault, ProviderFailed) and fault.slug == faults.BILLING:
        return False  # somebody's own account has no money left there
    return isinstance(fault, ProviderFailed | ProviderTimedOut) and fault.slug in faults.UNWELL


class _Guarded(WrappedStream):
    __slots__ = ("_breaker", "_is_own_key")

    def __init__(self, inner: Stream, breaker: Breaker, *, is_own_key: bool) -> None:
        super().__init__(inner)
        self._breaker = breaker
        self._is_own_key = is_own_key

    async def __aenter__(self) -> Batches:
        self._breaker.admit()
        try:
            return await self._inner.__aenter__()
        except BaseException as fault:
            self._breaker.ended(fault, has_begun=False, is_own_key=self._is_own_key)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._inner.__aexit__(kind, error, trace)
        except BaseException as fault:
            error = fault
            raise
        finally:
            self._breaker.ended(error, has_begun=True, is_own_key=self._is_own_key)
