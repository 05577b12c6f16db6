"""What a dialect can do. Three files implement this; providers and doors only ever see the protocol."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from methods.dialects.canonical import ChatReply, ChatRequest, JsonObject, StreamEvent, VendorError
from storage.errors import Fault


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

    def render_reply(self, reply: ChatReply) -> JsonObject:
        """A complete reply for a client of this vendor."""
        ...

    def parse_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
        """An error reply of any shape, also HTML and empty ones. Never raises."""
        ...

    def render_fault(self, fault: Fault, status: int, request_id: str) -> JsonObject:
        """A fault of ours in this vendor's error shape."""
        ...

    def event_parser(self) -> EventParser:
        """A new reader for one stream."""
        ...

    def event_renderer(self, request: ChatRequest, *, created: int, reply_id: str) -> EventRenderer:
        """A new writer for one stream. `created` is Unix seconds."""
        ...
