"""Asks again where that is safe. The rule of what is safe lives here; how to wait comes in as arguments."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from methods.dialects.canonical import ChatReply
from methods.errors import ProviderFailed, ProviderTimedOut
from methods.providers import faults
from methods.providers.base import Ask, Batches, Provider
from methods.providers.wrapping import FirstStream, Stream, Wrapping


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long; all times in seconds."""

    retries: int = 2
    """Attempts after the first one."""
    base: float = 0.5
    """The first wait is drawn between 0 and this, the next ones between 0 and its doubles."""
    longest: float = 8.0
    retry_after_max: float = 10.0
    """A vendor that asks for a longer wait is believed, and the caller is told at once."""
    retry_after_max_before_others: float = 1.0
    """The same where somebody else can be asked at once."""
    total: float = 120.0
    """No attempt starts later than this after the first, and none that follows lasts longer."""
    retries_first_byte: bool = False
    """Ask again after a stream that did not begin in time. The vendor may work on both, and bill both."""


class Retrying(Wrapping):
    """Repeats a request that has surely not been worked on.

    Safe are: a connection that was never made; 429; and 5xx (503 and 529 included), for which no vendor bills. Not safe, and
    therefore never repeated: a connection that broke after the request was sent, and a timeout. The vendor may have answered
    and billed that answer, so asking again could cost twice; a caller that wants this can ask again itself, and a configured
    fallback still takes over. Nothing is ever repeated after the first event of a stream.

    `sleep` waits seconds, `random` draws from [0, 1) for full jitter, `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        inner: Provider,
        patience: Patience,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        random: Callable[[], float],
    ) -> None:
        super().__init__(inner)
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._random = random

    async def complete(self, ask: Ask) -> ChatReply:
        """The answer of the first attempt that gives one. Raises: the last attempt's fault."""
        started = self._clock()
        attempt = 0
        while True:
            try:
                if attempt == 0:
                    return await self.inner.complete(ask)
                async with self._rest_of(started):
                    return await self.inner.complete(ask)
            except (ProviderFailed, ProviderTimedOut) as fault:
                await self._wait_or_raise(fault, attempt, started, is_last=ask.is_last)
            attempt += 1

    def stream(self, ask: Ask) -> Stream:
        """The first stream that begins. Raises: the last attempt's fault."""
        return FirstStream(lambda: self._begin(ask))

    async def _begin(self, ask: Ask) -> tuple[Stream, Batches]:
        started = self._clock()
        attempt = 0
        while True:
            stream = self.inner.stream(ask)
            try:
                if attempt == 0:
                    return stream, await stream.__aenter__()
                async with self._rest_of(started):
                    return stream, await stream.__aenter__()
            except (ProviderFailed, ProviderTimedOut) as fault:
                await self._wait_or_raise(fault, attempt, started, is_last=ask.is_last)
            attempt += 1

    async def _wait_or_raise(
        self, fault: ProviderFailed | ProviderTimedOut, attempt: int, started: float, *, is_last: bool
    ) -> None:
        """Wait until the next attempt, or raise the fault where there is none. Call it while the fault is being handled."""
        patience = self._patience
        if attempt >= patience.retries or not self._is_safe(fault):
            raise fault
        delay = self._random() * min(patience.longest, patience.base * 2**attempt)
        asked = fault.retry_after_seconds
        if asked is not None:
            if asked > (patience.retry_after_max if is_last else patience.retry_after_max_before_others):
                raise fault
            delay = max(asked, delay)
        if self._clock() - started + delay >= patience.total:
            raise fault
        await self._sleep(delay)

    def _is_safe(self, fault: ProviderFailed | ProviderTimedOut) -> bool:
        if fault.slug in faults.RETRYABLE:
            return True
        return fault.slug == faults.FIRST_BYTE_TIMEOUT and self._patience.retries_first_byte

    def _rest_of(self, started: float) -> "_Deadline":
        return _Deadline(self.name, self._patience.total, self._patience.total - (self._clock() - started))


class _Deadline:
    """Bounds a later attempt by what is left of the whole, in the words of a provider's timeout."""

    def __init__(self, name: str, total: float, seconds: float) -> None:
        self._name = name
        self._total = total
        self._timeout = asyncio.timeout(max(0.0, seconds))

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *ended: object) -> None:
        try:
            await self._timeout.__aexit__(*ended)  # type: ignore[arg-type]  # passed on as they came
        except TimeoutError as slow:
            raise faults.timed_out(self._name, faults.TIMEOUT, "did not finish", self._total) from slow
