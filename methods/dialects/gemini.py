"""The dialect of Gemini's generateContent. Translation only; no I/O, no keys kept.

What it cannot carry to another vendor: `untranslatable_fields` names it, as data in `HARMLESS_EXTRA`, `UNTRANSLATABLE_EXTRA` and
`PRICED_EXTRA`, and for members of `generationConfig` in `HARMLESS_CONFIG`. That a tool is strict has no word here and is lost.
"""

from collections.abc import Mapping
from typing import Literal

from methods.dialects import gemini_errors, gemini_own, gemini_reply, gemini_request
from methods.dialects.canonical import ChatReply, ChatRequest, JsonObject, VendorError
from methods.dialects.gemini_config import HARMLESS_CONFIG, Thinking, thinking_of
from methods.dialects.gemini_names import DIALECT, path_of
from methods.dialects.gemini_request import HARMLESS_EXTRA, PRICED_EXTRA, UNTRANSLATABLE_EXTRA, untranslatable_fields
from methods.dialects.gemini_stream import GeminiEventParser, GeminiEventRenderer
from methods.dialects.passing import EventPasser
from storage.errors import Fault

__all__ = [
    "DIALECT",
    "HARMLESS_CONFIG",
    "HARMLESS_EXTRA",
    "PRICED_EXTRA",
    "UNTRANSLATABLE_EXTRA",
    "Gemini",
    "untranslatable_fields",
]


class Gemini:
    """Implements `methods.dialects.base.Dialect` for generateContent, below a base URL that is the vendor's root.

    Constructor options:
    - `api_version`: the first segment of the path; `v1` is what the vendor's newest SDKs call.
    - `thinking`: how much thinking is said to models of other vendors' clients: `level` (all models since Gemini 3; those since
      3.5 refuse budgets) or `budget` (Gemini 2.5); None: as the model's name says. A client of this dialect is always repeated.
    """

    name: str = DIALECT

    def __init__(
        self, *, api_version: Literal["v1", "v1beta", "v1alpha"] = "v1", thinking: Thinking | None = None
    ) -> None:
        self._version = api_version
        self._thinking = thinking

    def parse_request(
        self, body: JsonObject, *, model: str | None = None, is_stream: bool | None = None
    ) -> ChatRequest:
        """A client's request; model and stream stand in the URL. Raises: Untranslatable, naming the field that is malformed."""
        return gemini_request.parse_request(body, model=model, is_stream=is_stream)

    def render_request(self, request: ChatRequest) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable."""
        return gemini_request.render_request(request, thinking=self._thinking or thinking_of(request.model))

    def path(self, request: ChatRequest) -> str:
        """The URL path below the provider's base URL, with its query. Raises: Untranslatable for a model that is no name."""
        verb = "streamGenerateContent?alt=sse" if request.is_stream else "generateContent"
        return path_of(self._version, request.model, verb)

    def headers(self, key: str) -> dict[str, str]:
        """The credential; never in the URL, where logs would show it."""
        return {"x-goog-api-key": key}

    def parse_reply(self, body: JsonObject) -> ChatReply:
        """A complete reply. Raises: ValueError when it is not one."""
        return gemini_reply.parse_reply(body)

    def render_reply(self, reply: ChatReply, request: ChatRequest | None = None) -> JsonObject:  # noqa: ARG002  # of the contract
        """A complete reply."""
        return gemini_reply.render_reply(reply)

    def parse_error(self, status: int, body: bytes, headers: Mapping[str, str]) -> VendorError:
        """An error reply of any shape. Never raises."""
        return gemini_errors.parse_error(status, body, headers)

    def render_fault(self, fault: Fault, status: int, request_id: str) -> JsonObject:
        """A fault of ours in this vendor's error shape."""
        return gemini_errors.render_fault(fault, status, request_id)

    def untranslatable(self, request: ChatRequest) -> list[str]:
        """The fields that matter and that no other dialect can be told."""
        return untranslatable_fields(request)

    def unpriced(self, body: JsonObject) -> list[str]:
        """The fields that change what the vendor charges in a way that no price of ours knows."""
        return gemini_own.unpriced(body)

    def amended(self, body: JsonObject, request: ChatRequest) -> JsonObject:
        """A client's own body with the bound of `request`; the same object where it has it."""
        return gemini_own.amended(body, request)

    def passer(self, request: ChatRequest) -> EventPasser:  # noqa: ARG002  # of the dialects' contract
        """A new filter for one stream."""
        return gemini_own.passer()

    def event_parser(self, answers: int = 1) -> GeminiEventParser:
        """A new reader for one stream."""
        return GeminiEventParser(answers)

    def event_renderer(self, request: ChatRequest, *, created: int, reply_id: str) -> GeminiEventRenderer:  # noqa: ARG002  # of the dialects' contract
        """A new writer for one stream; this vendor's events carry no time."""
        return GeminiEventRenderer(request, reply_id=reply_id)
