"""A provider made of a list, and a clock that only moves when somebody sleeps."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from methods.dialects.canonical import ChatReply, StreamEvent, Text, TextDelta
from methods.providers.base import Ask, Batches
from monetization.callers import Secret


class Clock:
    """Seconds that pass by sleeping; remembers every sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


class ListProvider:
    """Answers with the next item: text, or an exception to raise; the last one again and again.

    A stream of `a|b` gives two pieces; an exception after text comes in the middle of the stream.
    """

    def __init__(
        self, *items: str | Exception | Sequence[str | Exception], name: str = "one", kind: str = "openai"
    ) -> None:
        self.name = name
        self.kind = kind
        self.items = list(items)
        self.asked: list[Ask] = []

    def has_operator_key(self) -> bool:
        return True

    async def check_key(self, key: Secret) -> bool:
        return key.reveal() == "good"

    def _next(self, ask: Ask) -> Sequence[str | Exception]:
        self.asked.append(ask)
        item = self.items.pop(0) if len(self.items) > 1 else self.items[0]
        return [item] if isinstance(item, str | Exception) else item

    async def complete(self, ask: Ask) -> ChatReply:
        item = self._next(ask)[0]
        if isinstance(item, Exception):
            raise item
        return ChatReply(ask.request.model, (Text(item),), "stop", None)

    @asynccontextmanager
    async def stream(self, ask: Ask) -> AsyncIterator[Batches]:
        items = self._next(ask)
        if isinstance(items[0], Exception):
            raise items[0]
        yield _batches(items)


async def _batches(items: Sequence[str | Exception]) -> AsyncIterator[Sequence[StreamEvent]]:
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield [TextDelta(item)]
