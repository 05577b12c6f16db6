"""One answer of an HTTP provider as it arrives: bytes in, batches of events out. No request is built here."""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from methods.dialects.canonical import Passed, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, VendorError
from methods.providers import faults
from methods.providers.base import Ask

if TYPE_CHECKING:
    from methods.providers.http import HttpProvider

_LOST: Final = (aiohttp.ClientError, TimeoutError, OSError)
_OUTPUT: Final = (TextDelta, ReasoningDelta, ToolCallDelta)
_Batch = Sequence[StreamEvent | Passed]


class HttpStream:
    """One stream, as a context manager and as its own iterator. Leaving it closes the socket unless the answer ended."""

    __slots__ = (
        "_ask",
        "_error",
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
        self._error: VendorError | None = None
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
        if self._error is not None:
            self._provider.raise_vendor_error(self._ask, self._error)
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
        """The events before a vendor's error, which is raised when they have been taken."""
        for position, event in enumerate(events):
            if type(event) is VendorError:
                if not any(isinstance(before, _OUTPUT) for before in events[:position]):
                    self._provider.raise_vendor_error(self._ask, event)
                self._error = event
                return events[:position]
        return events
