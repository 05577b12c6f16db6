"""What a door may ask our own server beyond ASGI: a body that is all there, and word of a client that leaves. It knows no call.

ASGI tells of both in messages: the first needs a deadline, which is 6 us of every call, and the second a task that waits beside
every call that lasts, which is 30 us. Who finds nothing of this in its scope receives the messages.
"""

from collections.abc import Callable
from typing import Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

NEAR: Final = "tollgate.near"
"""The name of the extension in `scope["extensions"]`."""


class Near:
    """One exchange, as the server sees it."""

    __slots__ = ("_cycle", "_leaving")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._leaving: Callable[[], object] | None = None

    def body(self) -> bytes | None:
        """The whole body, to be asked for once; None while a part of it is still on its way."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
            return None
        body = bytes(cycle.body)
        # As `receive` leaves it: what comes next is read on, and whoever receives now waits for the client's leaving.
        cycle.body = bytearray()
        cycle.message_event.clear()
        cycle.flow.resume_reading()
        return body

    def watch(self, leaving: Callable[[], object] | None) -> None:
        """Call this once when the client leaves, at once if it has; None: do not call any more."""
        if leaving is not None and self._cycle.disconnected:
            leaving()
        else:
            self._leaving = leaving

    def left(self) -> None:
        """The client has left."""
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            leaving()


def near(scope: Scope) -> Near | None:
    """What the server offers; None where another one serves."""
    found: Near | None = scope.get("extensions", {}).get(NEAR)
    return found
