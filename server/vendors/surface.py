"""What one vendor's door differs in: its endpoints, where a credential stands, statuses, and how an error looks in a stream."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import orjson

from methods.dialects.canonical import JsonObject
from methods.dialects.responses_failure import failure_after
from methods.dialects.tables import dialect_of
from methods.errors import InvalidParams, ProviderFailed
from methods.providers.faults import RATE_LIMITED, REJECTED, UNAVAILABLE
from monetization.errors import Overloaded, QuotaExceeded
from server.errors import status_of
from server.vendors.stream import PassedWire
from server.vendors.words import spoken
from storage.errors import Fault

SurfaceName = Literal["openai", "anthropic", "gemini"]
Rates = Literal["openai", "anthropic", "none"]
_PAYMENT: Final = 402
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of a door."""

    verb: str
    pattern: re.Pattern[str]
    """Of the path after the door's prefix; groups `model`, `version` and `verb` say what they hold."""
    method: str
    """What it calls."""
    dialect: str
    """The language of its requests and answers."""
    template: str
    """The path as metrics show it."""
    stream: bool | None = None
    """Whether it streams, where the path says so; None: the body does."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Names of the query that are parameters, with the parameters' names."""
    flag: str = "stream"
    """The body's member that asks for a stream."""
    fixed: Mapping[str, object] = field(default_factory=dict)
    """Parameters that the path alone says."""


@dataclass(frozen=True, slots=True)
class Surface:
    """One vendor's door."""

    name: SurfaceName
    endpoints: Sequence[Endpoint]
    key_header: bytes | None
    """Beside `Authorization: Bearer`: the vendor's own header for a key."""
    statuses: Callable[[Fault, int], int]
    """The vendor's status for a fault, given the usual one."""
    rates: Rates
    """In whose headers limits are told."""
    ping: bytes | None
    """What keeps a silent stream open; None: this vendor's SDKs bear nothing between events."""
    error_event: bytes = b""
    """The event's name before an error in a stream."""
    key_query: str | None = None
    """A name of the query that may hold the key."""

    def status(self, fault: Fault) -> int:
        """The HTTP status of a fault on this door."""
        return self.statuses(fault, status_of(fault))

    def error(self, fault: Fault, status: int, request_id: str, dialect: str = "") -> bytes:
        """A fault as this vendor's SDKs read it; `dialect` is the request's, once that is known."""
        return orjson.dumps(self._rendered(fault, status, request_id, dialect)[0])

    def error_frame(self, dialect: str, fault: Fault, request_id: str, sent: PassedWire) -> bytes:
        """The same in the middle of a stream of this dialect, after what was sent of it."""
        status = self.status(fault)
        shown, error = self._rendered(fault, status, request_id, dialect)
        if dialect == "responses":  # its events have names and numbers, also in their data
            return failure_after(sent.first, sent.last, error, status)
        return b"%bdata: %b\n\n" % (self.error_event, orjson.dumps(shown))

    def _rendered(self, fault: Fault, status: int, request_id: str, dialect: str) -> tuple[JsonObject, JsonObject]:
        """The fault in the vendor's shape, and what stands under `error` in it."""
        shown = dialect_of(self.name).render_fault(fault, status, request_id)
        error = shown["error"]
        assert isinstance(error, dict), "all three vendors have an object there"
        error["message"] = spoken(str(error["message"]), dialect or self.name)
        return shown, error


def openai_status(fault: Fault, usual: int) -> int:
    """OpenAI says 429 `insufficient_quota` where there is no money, and where a quota is used up."""
    return _TOO_MANY if usual == _PAYMENT else _of_provider(fault, usual, _UNAVAILABLE, known=(409, 422))


def anthropic_status(fault: Fault, usual: int) -> int:
    """Anthropic says 402 `billing_error` where there is no money, 529 where it is overloaded."""
    if isinstance(fault, QuotaExceeded):
        return _TOO_MANY
    overloaded = 529
    return (
        overloaded if isinstance(fault, Overloaded) else _of_provider(fault, usual, overloaded, known=(409, 413, 422))
    )


def gemini_status(fault: Fault, usual: int) -> int:
    """Google says 429 where a quota is used up, 403 where billing does not allow it (google.rpc.Code)."""
    if isinstance(fault, QuotaExceeded):
        return _TOO_MANY
    return 403 if usual == _PAYMENT else _of_provider(fault, usual, _UNAVAILABLE, known=(409,))


def _of_provider(fault: Fault, usual: int, overloaded: int, *, known: tuple[int, ...]) -> int:
    """A provider that limits or has no room says so to the client, who knows from its vendor how to wait.

    `known`: the statuses of a refused request that the door's own SDKs tell apart from 400.
    """
    if isinstance(fault, InvalidParams) and fault.slug == REJECTED:
        status = fault.data.get("status")
        return status if isinstance(status, int) and status in known else usual
    if isinstance(fault, ProviderFailed):
        if fault.slug == RATE_LIMITED:
            return _TOO_MANY
        if fault.slug == UNAVAILABLE:
            return overloaded
    return usual
