"""One request as every floor sees it: a door made it from its own wire format, and nothing in it has been believed yet."""

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
    standings: list[Callable[[], tuple[Standing, ...]]] = field(default_factory=list, compare=False, repr=False)
    """Filled in by admission: tells where the caller stands with each limit, for doors that can show it. Empty: not limited."""
    receipts: list["Receipt"] = field(default_factory=list, compare=False, repr=False)
    """Filled in as its tab closes: what the call came to, for doors that have no result to show. Empty: it used nothing."""
