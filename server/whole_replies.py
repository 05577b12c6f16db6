"""A whole reply in one write, offered to the app as an ASGI extension. What is replied is not known here.

ASGI knows a reply as two messages at least; uvicorn writes each by itself and looks at each header with two expressions, which
costs 5 us of every call, and a second system call. Whoever finds no offer in its scope sends the two messages.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from server.near import NEAR, Near

WHOLE: Final = "tollgate.whole_reply"
"""The name of the extension in `scope["extensions"]`."""

Whole = Callable[[int, bytes, bytes], bool]
"""Takes the status, the header lines (each ends with CR LF; among them the length) and the body, and writes them.

False: nothing was written, send the messages. It never waits.
"""


def offer(cycle: RequestResponseCycle) -> Near:
    """Let the app of this exchange reply in one write, and ask what `Near` tells. Returns what is to hear of a leaving client."""
    scope: Scope = cycle.scope  # type: ignore[assignment]  # a typed dictionary there, any mapping here
    near = Near(cycle)
    scope["extensions"] = {WHOLE: partial(_reply, cycle), NEAR: near}
    return near


def offered(scope: Scope) -> Whole | None:
    """What was offered; None where the server cannot."""
    found: Whole | None = scope.get("extensions", {}).get(WHOLE)
    return found


def withdraw(scope: Scope) -> None:
    """The exchange is over. An offer holds the exchange, which holds the scope: such a circle would wait for the collector."""
    scope.pop("extensions", None)


def _reply(cycle: RequestResponseCycle, status: int, lines: bytes, body: bytes) -> bool:
    if cycle.disconnected:
        return True  # as with messages: who has left is told nothing
    is_usual = cycle.keep_alive and not cycle.waiting_for_100_continue and cycle.scope["method"] != "HEAD"
    if cycle.response_started or cycle.flow.write_paused or not is_usual:
        return False
    own = b"".join([b"%b: %b\r\n" % pair for pair in cycle.default_headers])
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"%b%b%b\r\n%b" % (STATUS_LINE[status], own, lines, body))
    cycle.message_event.set()
    cycle.on_response()
    return True
