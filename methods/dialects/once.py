"""What a dialect of one operation can do that is no chat. Credentials and errors are the vendor's own dialect's matter."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import orjson

from methods.dialects.base import Original
from methods.dialects.canonical import JsonObject
from methods.dialects.canonical_once import (
    CountReply,
    CountRequest,
    EmbedReply,
    EmbedRequest,
    OnceReply,
    OnceRequest,
    Operation,
)
from methods.dialects.crossing import crossed
from storage.records.fact import fact

_Request = TypeVar("_Request", bound=OnceRequest)
_Reply = TypeVar("_Reply", bound=OnceReply)


class OnceDialect(Protocol, Generic[_Request, _Reply]):
    """Pure translation of one operation between one vendor's JSON and the canonical form, both ways."""

    name: str
    """The name of the vendor's own dialect."""

    def parse_request(self, body: JsonObject, *, model: str | None = None, is_single: bool = False) -> _Request:
        """A client's request. `model` and `is_single` are given where the vendor keeps them in the URL.

        Raises: Untranslatable, naming the field that is malformed.
        """
        ...

    def render_request(self, request: _Request) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable."""
        ...

    def path(self, request: _Request) -> str:
        """The URL path below the provider's base URL. Raises: Untranslatable."""
        ...

    def parse_reply(self, body: JsonObject) -> _Reply:
        """A reply. Raises: ValueError when it is not one."""
        ...

    def render_reply(self, reply: _Reply, request: _Request) -> JsonObject:
        """A reply for a client of this vendor, as its request wants it. Raises: ValueError for vectors that are none."""
        ...

    def untranslatable(self, request: _Request) -> Sequence[str]:
        """The fields of a request of this dialect that matter and that no other dialect can be told; none of other requests."""
        ...

    def unpriced(self, body: JsonObject) -> Sequence[str]:
        """The fields of a client's body that change what the vendor charges in a way that no price of ours knows."""
        ...

    def amended(self, body: JsonObject, request: _Request) -> JsonObject:
        """A client's own body with the model that `request` says; the same object where nothing has to change."""
        ...


EmbedDialect = OnceDialect[EmbedRequest, EmbedReply]
CountDialect = OnceDialect[CountRequest, CountReply]
AnyOnce: TypeAlias = OnceDialect[Any, Any]  # Any: a table of all operations; each request meets only its own dialect


@fact
class Once:
    """What a client asks for in one go, as it wrote it and as it is understood."""

    operation: Operation
    dialect: AnyOnce
    """The client's: its version of paths."""
    request: OnceRequest
    original: Original
    """The client's own bytes, and the headers of its dialect."""

    def said(self, mine: AnyOnce, model: str) -> tuple[str, bytes]:
        """Path and body for a vendor that speaks `mine`: the client's own where both speak the same. Raises: Untranslatable."""
        request, original = self.asked(model), self.original
        if mine.name == self.dialect.name:
            body = mine.amended(original.body, request)
            text = original.text if body is original.body else None
            return self.dialect.path(request), orjson.dumps(body) if text is None else text
        chat = request.chat if isinstance(request, CountRequest) else None
        return crossed(
            self.dialect.untranslatable(request),
            chat,
            lambda: (mine.path(request), orjson.dumps(mine.render_request(request))),
        )

    def asked(self, model: str) -> OnceRequest:
        """The request with the model that serves it."""
        request = self.request
        if isinstance(request, CountRequest):
            return CountRequest(replace(request.chat, model=model))
        return replace(request, model=model)
