"""Tells the metrics how each attempt at a provider ended. It changes nothing and counts nothing itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from methods.dialects.canonical import ChatReply
from methods.providers.base import Ask, Batches, Provider
from methods.providers.wrapping import Wrapping
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

    @asynccontextmanager
    async def stream(self, ask: Ask) -> AsyncIterator[Batches]:
        """The inner provider's stream."""
        started = self._clock()
        outcome = "left"
        try:
            async with self.inner.stream(ask) as batches:
                yield batches
            outcome = "done"
        except (Fault, asyncio.CancelledError, GeneratorExit) as ended:
            outcome = _outcome(ended)
            raise
        finally:
            self._observer(self.name, outcome, self._clock() - started)


def _outcome(ended: BaseException) -> str:
    return ended.slug if isinstance(ended, Fault) else "cancelled"
