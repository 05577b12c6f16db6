"""The dialect of OpenAI's Responses. Translation only; no I/O, no keys kept.

What it cannot carry to another dialect: `responses_extra.untranslatable_fields` names it, as data in `HARMLESS_EXTRA`,
`UNTRANSLATABLE_EXTRA` and `PRICED_EXTRA`. A tool's `is_error` has no word here and is left out.
"""

from collections.abc import Mapping
from typing import Final

from methods.dialects import openai_errors, responses_reply, responses_request
from methods.dialects.canonical import ChatReply, ChatRequest, JsonObject, VendorError
from methods.dialects.mixed import replaced, without_foreign_thinking
from methods.dialects.passing import EventPasser
from methods.dialects.responses_events import ResponsesEventRenderer
from methods.dialects.responses_extra import (
    HARMLESS_EXTRA,
    PRICED_EXTRA,
    UNTRANSLATABLE_EXTRA,
    unpriced_fields,
    untranslatable_fields,
)
from methods.dialects.responses_items import DIALECT
from methods.dialects.responses_stream import ResponsesEventParser, is_failure
from storage.errors import Fault

__all__ = ["DIALECT", "HARMLESS_EXTRA", "PRICED_EXTRA", "UNTRANSLATABLE_EXTRA", "Responses", "untranslatable_fields"]

PATH: Final = "/responses"


class Responses:
    """Implements `methods.dialects.base.Dialect` for the Responses API, below a base URL that ends in `/v1`."""

    name: str = DIALECT

    def parse_request(
        self, body: JsonObject, *, model: str | None = None, is_stream: bool | None = None
    ) -> ChatRequest:
        """A client's request. Raises: Untranslatable, naming the field that is malformed."""
        return responses_request.parse_request(body, model=model, is_stream=is_stream)

    def render_request(self, request: ChatRequest) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable."""
        return responses_request.render_request(request)

    def path(self, request: ChatRequest) -> str:  # noqa: ARG002 - this vendor keeps model and stream in the body
        """The URL path below the provider's base URL."""
        return PATH

    def headers(self, key: str) -> dict[str, str]:
        """The credential; none for a vendor that needs no key (Ollama, vLLM)."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def parse_reply(self, body: JsonObject) -> ChatReply:
        """A complete reply. Raises: ValueError when it is not one."""
        return responses_reply.parse_reply(body)

    def render_reply(self, reply: ChatReply, request: ChatRequest | None = None) -> JsonObject:
        """A complete reply, with what the vendor repeats of the request; the door sets an unknown `id` and `created_at`."""
        return responses_reply.render_reply(reply, request)

    def parse_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
        """An error reply of any shape. Never raises."""
        return openai_errors.parse_error(status, body, headers)

    def render_fault(self, fault: Fault, status: int, request_id: str) -> JsonObject:
        """A fault of ours in this vendor's error shape."""
        return openai_errors.render_fault(fault, status, request_id)

    def untranslatable(self, request: ChatRequest) -> list[str]:
        """The fields of a request of this dialect that matter and that no other dialect can be told; none of other requests."""
        return untranslatable_fields(request)

    def unpriced(self, body: JsonObject) -> list[str]:
        """The fields of a client's body that change what the vendor charges in a way that no price of ours knows."""
        return unpriced_fields(body)

    def amended(self, body: JsonObject, request: ChatRequest) -> JsonObject:
        """A client's own body with the model, the bound of the answer and the stream that `request` says, all else kept."""
        wanted: JsonObject = {"model": request.model}
        if request.max_tokens is not None:
            wanted["max_output_tokens"] = request.max_tokens
        if bool(body.get("stream")) != request.is_stream:
            wanted["stream"] = request.is_stream
        body = replaced(body, "input", without_foreign_thinking)
        if request.is_stream or "stream_options" not in body:
            return body if all(body.get(name) == value for name, value in wanted.items()) else {**body, **wanted}
        return {**{name: value for name, value in body.items() if name != "stream_options"}, **wanted}

    def passer(self, request: ChatRequest) -> EventPasser:  # noqa: ARG002  # of the dialects' contract
        """A new filter for one stream: the usage is always in its end, and nothing of it is hidden."""
        return EventPasser(is_error=is_failure)

    def event_parser(self, answers: int = 1) -> ResponsesEventParser:  # noqa: ARG002  # this vendor gives one
        """A new reader for one stream."""
        return ResponsesEventParser()

    def event_renderer(self, request: ChatRequest, *, created: int, reply_id: str) -> ResponsesEventRenderer:
        """A new writer for one stream. `created` is Unix seconds."""
        return ResponsesEventRenderer(request, created=created, reply_id=reply_id)
