"""Tells the metrics how each attempt at a provider ended, and the router how soon it answered. It changes and counts nothing."""

import asyncio
from collections.abc import Callable
from types import TracebackType

from methods.dialects.canonical import ChatReply
from methods.errors import ProviderFailed, ProviderTimedOut
from methods.providers.base import Ask, Batches, Provider
from methods.providers.latencies import Latencies
from methods.providers.wrapping import Stream, WrappedStream, Wrapping
from storage.errors import Fault

Observer = Callable[[str, str, float], None]
"""Takes the provider's name, the outcome (`done`, `cancelled`, or a fault's reason) and the seconds that it took."""


class Observing(Wrapping):
    """Reports every attempt to `observer`; `clock` gives monotonic seconds."""

    def __init__(self, inner: Provider, observer: Observer, clock: Callable[[], float]) -> None:
        super().__init__(inner)
        self._observer = observer
        self._clock = clock

    async def complete(self, ask: Ask) -> ChatReply:
        """The inner provider's answer."""
        started = self._clock()
        try:
            reply = await self.inner.complete(ask)
        except (Fault, asyncio.CancelledError) as ended:
            self._observer(self.name, _outcome(ended), self._clock() - started)
            raise
        self._observer(self.name, "done", self._clock() - started)
        return reply

    def stream(self, ask: Ask) -> Stream:
        """The inner provider's stream."""
        return _Observed(self.inner.stream(ask), self.name, self._observer, self._clock)


class _Observed(WrappedStream):
    __slots__ = ("_clock", "_name", "_observer", "_started")

    def __init__(self, inner: Stream, name: str, observer: Observer, clock: Callable[[], float]) -> None:
        super().__init__(inner)
        self._name = name
        self._observer = observer
        self._clock = clock
        self._started = 0.0

    async def __aenter__(self) -> Batches:
        self._started = self._clock()
        try:
            return await self._inner.__aenter__()
        except BaseException as ended:
            self._tell(ended)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._inner.__aexit__(kind, error, trace)
        except BaseException as ended:
            error = ended
            raise
        finally:
            self._tell(error)

    def _tell(self, ended: BaseException | None) -> None:
        outcome = "done" if ended is None else _outcome(ended)
        self._observer(self._name, outcome, self._clock() - self._started)


class Timing(Wrapping):
    """Tells `latencies` how soon each attempt brought its first output; `clock` gives monotonic seconds."""

    def __init__(self, inner: Provider, latencies: Latencies, clock: Callable[[], float]) -> None:
        super().__init__(inner)
        self._latencies = latencies
        self._clock = clock

    async def complete(self, ask: Ask) -> ChatReply:
        """The inner provider's answer."""
        started = self.begin(ask)
        try:
            reply = await self.inner.complete(ask)
        except (ProviderFailed, ProviderTimedOut):
            self.ended(ask, started, is_failure=True)
            raise
        self.ended(ask, started, is_failure=False)
        return reply

    def stream(self, ask: Ask) -> Stream:
        """The inner provider's stream."""
        return _Timed(self.inner.stream(ask), self, ask)

    def begin(self, ask: Ask) -> float:
        """An attempt begins now. Returns when that is."""
        self._latencies.begins(self.name, ask.request.model)
        return self._clock()

    def ended(self, ask: Ask, started: float, *, is_failure: bool) -> None:
        """The first output has come, or it never will."""
        tell = self._latencies.failed if is_failure else self._latencies.answered
        tell(self.name, ask.request.model, self._clock() - started)


class _Timed(WrappedStream):
    __slots__ = ("_ask", "_timing")

    def __init__(self, inner: Stream, timing: Timing, ask: Ask) -> None:
        super().__init__(inner)
        self._timing = timing
        self._ask = ask

    async def __aenter__(self) -> Batches:
        started = self._timing.begin(self._ask)
        try:
            batches = await self._inner.__aenter__()
        except (ProviderFailed, ProviderTimedOut):
            self._timing.ended(self._ask, started, is_failure=True)
            raise
        self._timing.ended(self._ask, started, is_failure=False)
        return batches


def _outcome(ended: BaseException) -> str:
    if isinstance(ended, Fault):
        return ended.slug
    return "cancelled" if isinstance(ended, asyncio.CancelledError | GeneratorExit) else "left"
