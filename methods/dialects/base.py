"""What a dialect can do. Four files implement this; providers and doors only ever see the protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Protocol

from methods.dialects.canonical import ChatReply, ChatRequest, JsonObject, StreamEvent, VendorError
from storage.errors import Fault
from storage.records.fact import fact


class Untranslatable(ValueError):
    """A request holds something that the other vendor has no word for; `field` names it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class EventParser(Protocol):
    """Reads one vendor stream, event by event. Keeps state; make a new one for every stream."""

    def feed(self, data: bytes) -> Sequence[StreamEvent]:
        """Translate the raw bytes of a stream as they arrive, at any split, and return the events completed by them."""
        ...

    @property
    def is_complete(self) -> bool:
        """True once the vendor's own end of the answer was seen; a connection that ends before it was cut."""
        ...


class EventRenderer(Protocol):
    """Writes one vendor stream from canonical events, in the order that the vendor's SDK needs."""

    def render(self, event: StreamEvent) -> bytes:
        """The bytes that stand for this event (empty when the vendor has nothing to say for it)."""
        ...

    def close(self) -> bytes:
        """What ends the stream."""
        ...


class Passer(Protocol):
    """Lets a vendor's stream through to a client of the same vendor, but for what the client did not ask for, and for errors."""

    def feed(self, data: bytes) -> bytes:
        """What the client may have of these bytes now: whole events. A vendor's error is left out; it becomes a fault of ours."""
        ...

    def close(self) -> bytes:
        """What the vendor left out of the end of an answer that it completed."""
        ...


class Dialect(Protocol):
    """Pure translation between one vendor's JSON and the canonical form, both ways."""

    name: str

    def parse_request(
        self, body: JsonObject, *, model: str | None = None, is_stream: bool | None = None
    ) -> ChatRequest:
        """A client's request. `model` and `is_stream` are given where the vendor keeps them in the URL.

        Raises: Untranslatable, naming the field that is malformed.
        """
        ...

    def render_request(self, request: ChatRequest) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable."""
        ...

    def path(self, request: ChatRequest) -> str:
        """The URL path below the provider's base URL, with its query."""
        ...

    def headers(self, key: str) -> dict[str, str]:
        """The headers that carry the credential and the API version."""
        ...

    def parse_reply(self, body: JsonObject) -> ChatReply:
        """A complete reply. Raises: ValueError when it is not one."""
        ...

    def render_reply(self, reply: ChatReply, request: ChatRequest | None = None) -> JsonObject:
        """A complete reply for a client of this vendor; with the request, what the vendor's replies repeat of it."""
        ...

    def parse_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
        """An error reply of any shape, also HTML and empty ones. Never raises."""
        ...

    def render_fault(self, fault: Fault, status: int, request_id: str) -> JsonObject:
        """A fault of ours in this vendor's error shape."""
        ...

    def untranslatable(self, request: ChatRequest) -> Sequence[str]:
        """The fields of a request of this dialect that matter and that no other dialect can be told; none of other requests."""
        ...

    def unpriced(self, body: JsonObject) -> Sequence[str]:
        """The fields of a client's body that change what the vendor charges in a way that no price of ours knows."""
        ...

    def amended(self, body: JsonObject, request: ChatRequest) -> JsonObject:
        """A client's own body with the model, the bound of the answer and the stream that `request` says, all else kept.

        The same object where nothing has to change, so that the client's own bytes can go on.
        """
        ...

    def passer(self, request: ChatRequest) -> Passer:
        """A new filter for one stream."""
        ...

    def event_parser(self, answers: int = 1) -> EventParser:
        """A new reader for one stream, which holds so many answers beside one another. Of more than were asked for, the first."""
        ...

    def event_renderer(self, request: ChatRequest, *, created: int, reply_id: str) -> EventRenderer:
        """A new writer for one stream. `created` is Unix seconds."""
        ...


@fact
class Original:
    """A request as its client wrote it, for a provider that speaks the same language."""

    dialect: Dialect
    """The client's: its version of paths and headers."""
    body: JsonObject
    text: bytes | None = None
    """The body's own bytes. None: what `body` makes of them is the same."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What goes along to a vendor of the same dialect."""
