"""The order in which a process leaves, as a wrapper around the app's lifespan. Which calls run is the drain's knowledge."""

import asyncio
import sys
from collections.abc import Callable
from multiprocessing import parent_process
from signal import SIGINT, SIGTERM, Signals, getsignal
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.config_errors import OperatorError
from server.drain import Drain
from storage.errors import StoreRefused

CLOSING_SECONDS: Final = 10.0
"""For cancelled calls to close their tabs before the stores close."""

PARENT_SECONDS: Final = 1.0
"""Between two looks whether a worker's parent still lives."""

_CORRECTABLE: Final = (OperatorError, StoreRefused)


class Leaving:
    """Takes over SIGTERM and SIGINT once the app has started, and hands them to the server when the calls have finished."""

    def __init__(
        self,
        app: ASGIApp,
        drain: Drain,
        *,
        notice_seconds: float,
        drain_seconds: float,
        is_worker: bool = False,
        on_refusal: Callable[[str], object] = lambda _: None,
        on_start: Callable[[], object] = lambda: None,
        clean: Callable[[str], str] = str,
    ) -> None:
        """`on_refusal` hears the one line of a start that the operator can correct; `clean` hides secrets of any other.

        `on_start` is called when the app can serve.
        """
        self._app = app
        self._drain = drain
        self._notice_seconds = notice_seconds
        self._drain_seconds = drain_seconds
        self._is_worker = is_worker
        self._on_refusal = on_refusal
        self._on_start = on_start
        self._clean = clean
        self._departure: asyncio.Task[None] | None = None
        self._guard: asyncio.Task[None] | None = None
        self.refusal: str | None = None
        """Why the start failed, where the operator can correct it: one line."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; around the lifespan, listen for signals."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def receive_late() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                # What was cancelled a moment ago still has to close its tabs, and the stores close next.
                self._drain.begin()
                await self._drain.wait(CLOSING_SECONDS)
            return message

        async def send_noted(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._take_signals()
                self._on_start()
            elif message["type"] == "lifespan.startup.failed":
                if isinstance(wrong := sys.exception(), _CORRECTABLE):
                    self.refusal = str(wrong)
                    self._on_refusal(self.refusal)
                    message = {
                        **message,
                        "message": self.refusal,
                    }  # whoever starts it needs the line, not the traceback
                else:  # the log that hides secrets is closed by now, and this text goes to stderr
                    message = {**message, "message": self._clean(message.get("message", ""))}
            await send(message)

        await self._app(scope, receive_late, send_noted)

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        servers_own = getsignal(SIGTERM)
        assert callable(servers_own), "uvicorn listens to signals before it starts the app"

        def end(number: Signals) -> None:
            servers_own(number, None)

        def on_signal(number: Signals) -> None:
            if self._is_worker and number is SIGINT:
                return  # a terminal sends it to the whole group; the parent follows with SIGTERM
            if self._departure is None:
                self._drain.announce()
                if not self._notice_seconds:
                    self._drain.begin()
                self._departure = loop.create_task(self._depart(lambda: end(SIGTERM)))
                return
            self._departure.cancel()
            # uvicorn hurries at the second SIGINT: it waits for nothing and closes nothing.
            end(SIGINT)
            end(SIGINT)

        for number in (SIGTERM, SIGINT):
            loop.add_signal_handler(number, on_signal, number)
        if self._is_worker:
            self._guard = loop.create_task(_when_orphaned(lambda: on_signal(SIGTERM)))

    async def _depart(self, end: Callable[[], None]) -> None:
        try:
            await asyncio.sleep(self._notice_seconds)
            self._drain.begin()
            await self._drain.wait(self._drain_seconds)
        finally:
            end()


async def _when_orphaned(leave: Callable[[], None]) -> None:
    """A worker whose parent was killed serves on where nobody can reach it to stop it: it leaves by itself."""
    parent = parent_process()
    assert parent is not None, "a worker is another process's child"
    while parent.is_alive():  # noqa: ASYNC110  # the end of another process is no event of this loop
        await asyncio.sleep(PARENT_SECONDS)
    leave()
