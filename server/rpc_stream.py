"""Progress and the final reply of one call as Server-Sent Events on the answer to its POST. No parsing, no serving."""

import asyncio
from collections.abc import Sequence
from typing import Final

from starlette.types import Send

from methods.progress import Progress
from server.rpc_wire import ProgressWire

BEFORE: Final = b"event: message\ndata: "
AFTER: Final = b"\n\n"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """An event stream that begins with the first item, so that an earlier refusal is an ordinary answer with a status."""

    def __init__(self, send: Send, token: str | float | None, request_id: str, *, ping_seconds: float) -> None:
        self._send = send
        self._wire = ProgressWire(token, request_id, before=BEFORE, after=AFTER)
        self._ping_seconds = ping_seconds
        self._spoke = 0.0
        self._pinging: asyncio.Task[None] | None = None
        self.has_begun = False

    async def sink(self, items: Sequence[Progress]) -> None:
        """Send what has arrived in one write; a slow client holds this back."""
        if not items:
            return
        if not self.has_begun:
            await self._begin()
        self._spoke = asyncio.get_running_loop().time()
        await self._send({"type": "http.response.body", "body": b"".join(self._wire.render(items)), "more_body": True})

    async def finish(self, reply: bytes) -> None:
        """Send the one final reply and end the stream."""
        self.close()
        if not self.has_begun:
            await self._start()
        await self._send({"type": "http.response.body", "body": BEFORE + reply + AFTER})

    def close(self) -> None:
        """Stop keeping the stream open. Nothing is sent after it but the final reply."""
        if self._pinging is not None:
            self._pinging.cancel()
            self._pinging = None

    async def _begin(self) -> None:
        await self._start()
        self._pinging = asyncio.get_running_loop().create_task(self._ping())

    async def _start(self) -> None:
        self.has_begun = True
        await self._send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})

    async def _ping(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            silence = clock() - self._spoke
            if silence < self._ping_seconds:
                await asyncio.sleep(self._ping_seconds - silence)
                continue
            self._spoke = clock()
            await self._send({"type": "http.response.body", "body": b": ping\n\n", "more_body": True})
