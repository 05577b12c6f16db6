"""One request as every floor sees it: a door made it from its own wire format, and nothing in it has been believed yet."""

import asyncio
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from storage.ephemeral.limiter import Standing
from storage.records.fact import fact

if TYPE_CHECKING:
    from monetization.tab import Receipt

DoorName = Literal["rpc", "websocket", "openai", "anthropic", "gemini", "mcp", "rest", "cli"]


@fact
class Credential:
    """What the caller showed. The doors only carry it; `server/auth` believes it or not."""

    kind: Literal["none", "bearer", "operator"]
    value: str = field(default="", repr=False)
    address: str | None = None
    """The peer's network address."""


class Siblings:
    """The calls of one batch: one that finds no slot free waits for another one of them to end instead of being refused.

    Nobody waits who holds a slot, and nobody waits where none of them does, so there is always one that goes on.
    """

    __slots__ = ("_has_ended", "_running", "ends")

    def __init__(self) -> None:
        self.ends = 0
        """How many have given their slots back so far."""
        self._running = 0
        self._has_ended = asyncio.Event()

    def began(self) -> None:
        """One of them has its slots."""
        self._running += 1

    def ended(self) -> None:
        """It has given them back."""
        self._running -= 1
        self.ends += 1
        self._has_ended.set()
        self._has_ended = asyncio.Event()

    async def one_ended(self, since: int) -> bool:
        """Wait until one more than `since` has ended. False, at once: none that has slots is left."""
        if self.ends == since and self._running:
            await self._has_ended.wait()
        return self.ends != since


@fact
class Call:
    """One request, any door."""

    method: str
    params: object
    """JSON as parsed: an object, an array, or None when absent."""
    credential: Credential
    request_id: str
    """Ours, unique: in every log line, error and usage row of this call."""
    door: DoorName = "rpc"
    rpc_id: str | int | float | None = None
    """The caller's own id of the call, by which it may cancel it."""
    idempotency_key: str | None = None
    traceparent: str | None = None
    is_stream: bool = False
    """The caller reads progress as it happens."""
    is_notification: bool = False
    started: float = 0.0
    """Monotonic seconds when the request arrived."""
    siblings: Siblings | None = field(default=None, compare=False, repr=False)
    """Of a call in a batch."""
    standings: list[Callable[[], tuple[Standing, ...]]] = field(default_factory=list, compare=False, repr=False)
    """Filled in by admission: tells where the caller stands with each limit, for doors that can show it. Empty: not limited."""
    receipts: list["Receipt"] = field(default_factory=list, compare=False, repr=False)
    """Filled in as its tab closes: what the call came to, for doors that have no result to show. Empty: it used nothing."""
