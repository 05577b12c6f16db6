"""One answer of an HTTP provider as it arrives: bytes in, batches of events out. No request is built here."""

from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Self

import aiohttp

from methods.dialects.canonical import (
    ImageMade,
    Passed,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    VendorError,
)
from methods.providers import faults
from methods.providers.base import Ask

if TYPE_CHECKING:
    from methods.providers.http import HttpProvider

_LOST: Final = (aiohttp.ClientError, TimeoutError, OSError)
_OUTPUT: Final = (TextDelta, ImageMade, ReasoningDelta, ToolCallDelta)
_SUSPECTS: Final = frozenset({ToolCallDelta, VendorError})
_Batch = Sequence[StreamEvent | Passed]


class HttpStream:
    """One stream, as a context manager and as its own iterator. Leaving it closes the socket unless the answer ended."""

    __slots__ = (
        "_ask",
        "_calls",
        "_failing",
        "_first",
        "_has_begun",
        "_has_ended",
        "_parser",
        "_passer",
        "_provider",
        "_response",
        "_size",
    )

    def __init__(self, provider: "HttpProvider", ask: Ask) -> None:
        self._provider = provider
        self._ask = ask
        dialect = provider.dialect_for(ask)
        self._parser = dialect.event_parser(ask.request.answers)
        self._passer = None if provider.same(ask) is None else dialect.passer(ask.request)
        self._response: aiohttp.ClientResponse | None = None
        self._first: _Batch | None = None
        self._has_begun = False
        """The first events have come. Bytes before them (a ping) do not begin an answer, since an error may still follow."""
        self._has_ended = False
        self._calls: set[int] = set()
        """The calls whose names have come, of an answer that is told in another language."""
        self._failing: Callable[[], NoReturn] | None = None
        """Raises what ends the stream, once all before it has been taken."""
        self._size = 0

    async def __aenter__(self) -> Self:
        self._response = await self._provider.open(self._ask)
        try:
            self._first = await self._read()
        except StopAsyncIteration:
            self._first = None
        except BaseException:
            self._response.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._response is not None
        # After the end of the answer this does nothing; before it, closing (not releasing) stops the vendor at once.
        self._response.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Batch:
        first = self._first
        if first is not None:
            self._first = None
            return first
        return await self._read()

    async def _read(self) -> _Batch:
        if self._failing is not None:
            self._failing()
        if self._passer is None:
            return self._checked((await self._arrived())[0])
        if self._has_ended:
            raise StopAsyncIteration
        try:
            events, passed = await self._arrived()
        except StopAsyncIteration:
            self._has_ended = True
            return [Passed(self._passer.close())]
        return [*self._checked(events), Passed(passed)]

    async def _arrived(self) -> tuple[Sequence[StreamEvent], bytes]:
        """The next events, and what of the bytes the client may have."""
        assert self._response is not None
        provider, content, parser = self._provider, self._response.content, self._parser
        passer, passed = self._passer, b""
        while True:
            try:
                data = await content.readany()
            except _LOST as lost:
                if parser.is_complete:
                    raise StopAsyncIteration from None
                provider.raise_lost(lost, faults.CUT)
            if not data:
                if parser.is_complete:
                    raise StopAsyncIteration
                raise faults.failed(provider.name, faults.CUT, "broke off in the middle of its answer")
            self._size += len(data)
            if self._size > provider.stream_bytes_max:
                raise faults.failed(provider.name, faults.TOO_LARGE, "streamed more than one answer may be")
            try:
                events = parser.feed(data)
                if passer is not None:
                    passed += passer.feed(data)
            except ValueError as wrong:
                raise faults.failed(provider.name, faults.MALFORMED, "streamed something that is no event") from wrong
            if events or (passed and self._has_begun):
                self._has_begun = True
                return events, passed

    def _checked(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        """The events before a vendor's error or what cannot be told, which is raised when they have been taken."""
        for position, event in enumerate(events):
            failing = self._failing_at(event) if type(event) in _SUSPECTS else None
            if failing is not None:
                if not any(isinstance(before, _OUTPUT) for before in events[:position]):
                    failing()
                self._failing = failing
                return events[:position]
        return events

    def _failing_at(self, event: StreamEvent) -> Callable[[], NoReturn] | None:
        """What raises the fault of this event; None where nothing is wrong with it.

        A call without a name cannot be told in another language, and to leave it out would falsify the answer.
        """
        if type(event) is VendorError:
            return partial(self._provider.raise_vendor_error, self._ask, event)
        if type(event) is ToolCallDelta and self._passer is None and event.index not in self._calls:
            if not event.name:
                return self._provider.raise_unreadable
            self._calls.add(event.index)
        return None
