"""The dialect of OpenAI chat completions and of all vendors that are compatible with it. Translation only; no I/O, no keys kept.

What it cannot carry to or from another vendor: `openai_extra.untranslatable_fields` names it, as data in `HARMLESS_EXTRA`,
`UNTRANSLATABLE_EXTRA` and `PRICED_EXTRA`. A tool's `is_error` has no word here and is left out.
"""

from collections.abc import Mapping
from typing import Final

from methods.dialects import openai_errors, openai_own, openai_reply, openai_request
from methods.dialects.canonical import ChatReply, ChatRequest, JsonObject, VendorError
from methods.dialects.openai_extra import (
    HARMLESS_EXTRA,
    PRICED_EXTRA,
    UNTRANSLATABLE_EXTRA,
    untranslatable_fields,
)
from methods.dialects.openai_messages import DIALECT
from methods.dialects.openai_request import MaxTokensField
from methods.dialects.openai_stream import OpenAIEventParser, OpenAIEventRenderer
from methods.dialects.passing import EventPasser
from storage.errors import Fault

__all__ = ["DIALECT", "HARMLESS_EXTRA", "PRICED_EXTRA", "UNTRANSLATABLE_EXTRA", "OpenAI", "untranslatable_fields"]

PATH: Final = "/chat/completions"


class OpenAI:
    """Implements `methods.dialects.base.Dialect` for chat completions, below a base URL that ends in `/v1`.

    Constructor options, for what compatible vendors differ in:
    - `max_tokens_field`: the member that carries the bound upstream. OpenAI's reasoning models refuse `max_tokens`, so the
      default is `max_completion_tokens` (a client of this dialect that said `max_tokens` is repeated as it was); a vendor
      that knows only `max_tokens` would ignore the other and answer without bound, so for it set `max_tokens`, which is then
      always sent.
    - `asks_stream_usage`: send `stream_options.include_usage`; off only for vendors that refuse it and send usage anyway.
    - `sends_reasoning`: give thinking from other dialects' clients back as `reasoning_content` (DeepSeek wants it, OpenAI
      refuses it).
    - `knows_seals`: the vendor may be Gemini, so its seals of calls (`extra_content`) stay in a client's body.
    - `sends_top_k`: the vendor knows `top_k`; otherwise another dialect's `top_k` is refused.
    """

    name: str = DIALECT

    def __init__(
        self,
        *,
        max_tokens_field: MaxTokensField = "max_completion_tokens",
        asks_stream_usage: bool = True,
        sends_reasoning: bool = False,
        sends_top_k: bool = False,
        knows_seals: bool = False,
    ) -> None:
        self._max_tokens_field: MaxTokensField = max_tokens_field
        self._asks_stream_usage = asks_stream_usage
        self._sends_reasoning = sends_reasoning
        self._sends_top_k = sends_top_k
        self._knows_seals = knows_seals

    def parse_request(
        self, body: JsonObject, *, model: str | None = None, is_stream: bool | None = None
    ) -> ChatRequest:
        """A client's request. Raises: Untranslatable, naming the field that is malformed."""
        return openai_request.parse_request(body, model=model, is_stream=is_stream)

    def render_request(self, request: ChatRequest) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable."""
        return openai_request.render_request(
            request,
            max_tokens_field=self._max_tokens_field,
            asks_stream_usage=self._asks_stream_usage,
            sends_reasoning=self._sends_reasoning,
            sends_top_k=self._sends_top_k,
        )

    def path(self, request: ChatRequest) -> str:  # noqa: ARG002 - this vendor keeps model and stream in the body
        """The URL path below the provider's base URL."""
        return PATH

    def headers(self, key: str) -> dict[str, str]:
        """The credential; none for a vendor that needs no key (Ollama, vLLM)."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def parse_reply(self, body: JsonObject) -> ChatReply:
        """A complete reply. Raises: ValueError when it is not one."""
        return openai_reply.parse_reply(body)

    def render_reply(self, reply: ChatReply, request: ChatRequest | None = None) -> JsonObject:  # noqa: ARG002  # of the contract
        """A complete reply; the door sets `id` and `created` where the reply does not know them."""
        return openai_reply.render_reply(reply)

    def parse_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
        """An error reply of any shape. Never raises."""
        return openai_errors.parse_error(status, body, headers)

    def render_fault(self, fault: Fault, status: int, request_id: str) -> JsonObject:
        """A fault of ours in this vendor's error shape."""
        return openai_errors.render_fault(fault, status, request_id)

    def untranslatable(self, request: ChatRequest) -> list[str]:
        """The fields that matter and that no other dialect can be told."""
        return untranslatable_fields(request)

    def unpriced(self, body: JsonObject) -> list[str]:
        """The fields that change what the vendor charges in a way that no price of ours knows."""
        return openai_own.unpriced(body)

    def amended(self, body: JsonObject, request: ChatRequest) -> JsonObject:
        """A client's own body with the model, the bound and the stream of `request`; the same object where it has them."""
        return openai_own.amended(
            body,
            request,
            max_tokens_field=self._max_tokens_field,
            asks_stream_usage=self._asks_stream_usage,
            knows_seals=self._knows_seals,
        )

    def passer(self, request: ChatRequest) -> EventPasser:
        """A new filter for one stream."""
        return openai_own.passer(request)

    def event_parser(self, answers: int = 1) -> OpenAIEventParser:
        """A new reader for one stream."""
        return OpenAIEventParser(answers)

    def event_renderer(self, request: ChatRequest, *, created: int, reply_id: str) -> OpenAIEventRenderer:
        """A new writer for one stream. `created` is Unix seconds."""
        return OpenAIEventRenderer(request, created=created, reply_id=reply_id)
