"""The dialect of Anthropic messages. Translation only; no I/O, no keys kept.

What it cannot carry to another vendor: `untranslatable_fields` names it, as data in `HARMLESS_EXTRA`, `UNTRANSLATABLE_EXTRA` and
`PRICED_EXTRA`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from methods.dialects import anthropic_errors, anthropic_own, anthropic_reply, anthropic_request
from methods.dialects.anthropic_blocks import DIALECT
from methods.dialects.anthropic_output import Thinking, thinking_of
from methods.dialects.anthropic_request import (
    HARMLESS_EXTRA,
    PRICED_EXTRA,
    UNTRANSLATABLE_EXTRA,
    ApiVersion,
    untranslatable_fields,
)
from methods.dialects.anthropic_stream import AnthropicEventParser, AnthropicEventRenderer
from methods.dialects.canonical import ChatReply, ChatRequest, JsonObject, VendorError
from methods.dialects.passing import EventPasser
from storage.errors import Fault

__all__ = ["DIALECT", "HARMLESS_EXTRA", "PRICED_EXTRA", "UNTRANSLATABLE_EXTRA", "Anthropic", "untranslatable_fields"]

PATH: Final = "/v1/messages"


class Anthropic:
    """Implements `methods.dialects.base.Dialect` for the Messages API, below a base URL that is the vendor's root.

    Constructor options:
    - `api_version`: sent upstream as `anthropic-version`, and the rules by which a door's requests are judged. The default is
      2023-06-01, because 2026-10-21 answers `temperature`, `top_p` and `top_k` with 400; with it they are refused by name.
    - `credential`: `x-api-key`, which both versions take, or `bearer`, which the newest SDKs send.
    - `max_tokens_default`: the vendor wants `max_tokens`; this is sent for requests of other vendors that have none.
    - `thinking`: how thinking is asked for: `adaptive` (with `output_config.effort`), or `budget` for models before that; None:
      as the model's name says.
    - `betas`: what to name in `anthropic-beta`.
    """

    name: str = DIALECT

    def __init__(
        self,
        *,
        api_version: ApiVersion = "2023-06-01",
        credential: Literal["x-api-key", "bearer"] = "x-api-key",
        max_tokens_default: int = 4096,
        thinking: Thinking | None = None,
        betas: Sequence[str] = (),
    ) -> None:
        self._version: ApiVersion = api_version
        self._credential = credential
        self._max_tokens_default = max_tokens_default
        self._thinking = thinking
        self._betas = ",".join(betas)

    def parse_request(
        self, body: JsonObject, *, model: str | None = None, is_stream: bool | None = None
    ) -> ChatRequest:
        """A client's request. Raises: Untranslatable, naming the field that is malformed or gone in this API version."""
        return anthropic_request.parse_request(body, version=self._version, model=model, is_stream=is_stream)

    def render_request(self, request: ChatRequest) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable."""
        return anthropic_request.render_request(
            request,
            version=self._version,
            thinking=self._thinking or thinking_of(request.model),
            max_tokens_default=self._max_tokens_default,
        )

    def path(self, request: ChatRequest) -> str:  # noqa: ARG002 - this vendor keeps model and stream in the body
        """The URL path below the provider's base URL."""
        return PATH

    def headers(self, key: str) -> dict[str, str]:
        """The credential and the API version."""
        headers: dict[str, str] = {"anthropic-version": self._version}
        if self._betas:
            headers["anthropic-beta"] = self._betas
        if self._credential == "bearer":
            return {"authorization": f"Bearer {key}", **headers}
        return {"x-api-key": key, **headers}

    def parse_reply(self, body: JsonObject) -> ChatReply:
        """A complete reply. Raises: ValueError when it is not one."""
        return anthropic_reply.parse_reply(body)

    def render_reply(self, reply: ChatReply, request: ChatRequest | None = None) -> JsonObject:  # noqa: ARG002  # of the contract
        """A complete reply; the door sets `id` where the reply does not know it."""
        return anthropic_reply.render_reply(reply)

    def parse_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
        """An error reply of any shape. Never raises."""
        return anthropic_errors.parse_error(status, body, headers)

    def render_fault(self, fault: Fault, status: int, request_id: str) -> JsonObject:
        """A fault of ours in this vendor's error shape."""
        return anthropic_errors.render_fault(fault, status, request_id)

    def untranslatable(self, request: ChatRequest) -> list[str]:
        """The fields that matter and that no other dialect can be told."""
        return untranslatable_fields(request)

    def unpriced(self, body: JsonObject) -> list[str]:
        """The fields that change what the vendor charges in a way that no price of ours knows."""
        return anthropic_own.unpriced(body)

    def amended(self, body: JsonObject, request: ChatRequest) -> JsonObject:
        """A client's own body with the model, the bound and the stream of `request`; the same object where it has them."""
        return anthropic_own.amended(body, request)

    def passer(self, request: ChatRequest) -> EventPasser:  # noqa: ARG002  # of the dialects' contract
        """A new filter for one stream."""
        return anthropic_own.passer()

    def event_parser(self, answers: int = 1) -> AnthropicEventParser:  # noqa: ARG002  # this vendor gives one
        """A new reader for one stream."""
        return AnthropicEventParser()

    def event_renderer(self, request: ChatRequest, *, created: int, reply_id: str) -> AnthropicEventRenderer:  # noqa: ARG002  # of the dialects' contract
        """A new writer for one stream; this vendor's events carry no time."""
        return AnthropicEventRenderer(request, reply_id=reply_id)
