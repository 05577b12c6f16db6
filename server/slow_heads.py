"""uvicorn's HTTP protocol with what it lacks: bounds for a request's head, no trailers, and word of a leaving client.

Bodies have their own bounds at the doors. What is asked is not looked at.
"""

import asyncio
from typing import Any, Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.near import Near
from server.whole_replies import offer

HEAD_BYTES_MAX: Final = 65_536
"""Of a head that arrives in pieces, and of what stands behind a body in chunks."""
AHEAD_MAX: Final = 8
"""Requests that a client may have sent ahead before its connection is read no further: a leaving client is seen by reading."""
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol, which would wait for ever for the rest of a head, and would keep any amount of it."""

    def __init__(self, *, head_seconds: float, **uvicorns: Any) -> None:  # Any: handed on as it came
        super().__init__(**uvicorns)
        self._head_seconds = head_seconds
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._is_in_head = False
        self._is_between_chunks = False
        self._running: RequestResponseCycle | None = None
        self._near: Near | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Whoever connects has to ask something."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self._head_seconds, self._give_up)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_in_head = True
        self._is_between_chunks = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_in_head = False
        self._head_bytes = 0
        self._stop()
        super().on_headers_complete()
        if 0 < len(self.pipeline) <= AHEAD_MAX:
            self.flow.resume_reading()  # uvicorn stops at the first request that has to wait

    def on_chunk_header(self) -> None:
        """A chunk begins, or what stands behind the last one.

        uvicorn adds such trailers to the headers. They may say nothing here (RFC 9110, 6.5.1): who strips or sets headers in
        front of this server has not seen them.
        """
        self._is_between_chunks = True
        if self.headers is self.scope["headers"]:
            self.headers = []

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._is_between_chunks = False
        self._head_bytes = 0
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        """Time and count a head only when it did not come in one piece, so that usual requests pay nothing."""
        was_between_chunks = self._is_between_chunks
        super().data_received(data)
        if was_between_chunks and self._is_between_chunks:  # all of this was trailers
            self._count(data)
        if self._is_in_head:
            self._count(data)
            if self._head_timer is None and not self.transport.is_closing():
                self._head_timer = self.loop.call_later(self._head_seconds, self._give_up)

    def _count(self, data: bytes) -> None:
        """Bytes that are kept until a head or a request is whole."""
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop()
        super().connection_lost(exc)
        running = self._running
        if running is not None and not running.response_complete:
            # uvicorn tells only the request that came last, which still waits if it was sent ahead.
            running.disconnected = True
            running.message_event.set()
        if self._near is not None:
            self._near.left()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        self._near = offer(cycle)
        super()._start_asgi_task(cycle, app)

    def _stop(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()
