"""Progress and the final reply of one call as Server-Sent Events on the answer to its POST. No parsing, no serving."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from starlette.types import Send

from methods.progress import Progress

BEFORE: Final = b"event: message\ndata: "
AFTER: Final = b"\n\n"
PING: Final = b": ping\n\n"
_LOOK_SECONDS_MIN: Final = 0.05
"""Between two looks at a stream whose client takes nothing."""
_EVENTS: Final = b"text/event-stream"
_HEADERS: Final = (
    (b"cache-control", b"no-store, no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class Wire(Protocol):
    """Progress as bytes."""

    seq: int
    """How many items were rendered."""

    def render(self, items: Sequence[Progress]) -> list[bytes]:
        """One message per item."""
        ...


class EventStream:
    """An event stream that begins with the first item, so that an earlier refusal is an ordinary answer with a status.

    A first item that takes longer than `ping_seconds` is not waited for: the stream begins, since proxies end what is silent.
    `stalled` is told when the client has taken nothing for `write_timeout_seconds`. There is one writer at a time.
    """

    def __init__(
        self,
        send: Send,
        wire: Wire,
        *,
        ping_seconds: float,
        write_timeout_seconds: float,
        stalled: Callable[[], None],
        headers: Callable[[], list[tuple[bytes, bytes]]] = list,
        ping: bytes | None = PING,
        begins_with_output: bool = False,
        media_type: bytes = _EVENTS,
    ) -> None:
        """`headers` is asked for more of them when the stream begins. `ping` keeps a silent stream open, where there is one.

        `begins_with_output`: silence does not begin the stream, so whatever fails before any output keeps its own status.
        """
        self._send = send
        self._wire = wire
        self._ping_seconds = ping_seconds
        self._write_timeout_seconds = write_timeout_seconds
        self._stalled = stalled
        self._headers = headers
        self._ping_bytes = ping
        self._begins_with_output = begins_with_output
        self._media_type = media_type
        self._loop = asyncio.get_running_loop()
        self._wrote = self._loop.time()
        self._is_writing = False
        self._pinging: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(ping_seconds, self._look)
        self.has_begun = False

    def has_progress(self) -> bool:
        """Whether anything of the answer was sent; comments are nothing of it."""
        return self.has_begun and self._wire.seq > 0

    async def sink(self, items: Sequence[Progress]) -> None:
        """Send what has arrived in one write; a slow client holds this back."""
        if not items:
            return
        if self._pinging is not None:
            await self._pinging
        await self._write(b"".join(self._wire.render(items)), more=True)

    async def finish(self, last: bytes) -> None:
        """Send the last bytes and end the stream."""
        await self.close()
        await self._write(last, more=False)

    async def close(self) -> None:
        """Stop keeping the stream open. Nothing is sent after it but the final reply."""
        self._timer.cancel()
        if self._pinging is not None:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)

    async def _write(self, body: bytes, *, more: bool) -> None:
        self._wrote = self._loop.time()
        self._is_writing = True
        try:
            if not self.has_begun:
                headers = [(b"content-type", self._media_type), *_HEADERS, *self._headers()]
                await self._send({"type": "http.response.start", "status": 200, "headers": headers})
                self.has_begun = True
            await self._send({"type": "http.response.body", "body": body, "more_body": more})
        finally:
            self._is_writing = False

    def _look(self) -> None:
        silence = self._loop.time() - self._wrote
        if self._is_writing and silence > self._write_timeout_seconds:
            self._stalled()
            return
        if silence >= self._ping_seconds and not self._is_writing and self._may_ping():
            self._pinging = self._loop.create_task(self._ping())
            silence = 0.0
        self._timer = self._loop.call_later(max(self._ping_seconds - silence, _LOOK_SECONDS_MIN), self._look)

    def _may_ping(self) -> bool:
        return self._ping_bytes is not None and (self.has_begun or not self._begins_with_output)

    async def _ping(self) -> None:
        try:
            await self._write(self._ping_bytes or b"", more=True)
        finally:
            self._pinging = None
