"""Counting the tokens of a request at the vendors that count, both ways: each takes the request itself, without its settings.

Translation only; what the vendors do not count is estimated elsewhere.
"""

from dataclasses import replace
from typing import Final, Literal

from methods.dialects.anthropic import Anthropic
from methods.dialects.anthropic_request import ApiVersion
from methods.dialects.canonical import JsonObject
from methods.dialects.canonical_once import CountReply, CountRequest
from methods.dialects.gemini import Gemini
from methods.dialects.gemini_names import members_of, path_of, resource_of
from methods.dialects.mixed import replaced, without_foreign_thinking, without_unsigned_thinking
from methods.dialects.responses import Responses
from methods.dialects.shared import object_at, tokens_of

_ANTHROPIC_COUNTED: Final = frozenset(
    {"cache_control", "messages", "model", "output_config", "speed", "system", "thinking", "tool_choice", "tools"}
)
_RESPONSES_COUNTED: Final = frozenset(
    {
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "personality",
        "reasoning",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    }
)
_WHOLE: Final = "generateContentRequest"


class _Counting:
    """What all three have in common: the request is a chat of the vendor's own dialect."""

    name: str

    def __init__(self, chat: Anthropic | Gemini | Responses) -> None:
        self.name = chat.name
        self._chat = chat

    def untranslatable(self, request: CountRequest) -> list[str]:
        """The fields of a request of this dialect that matter and that no other dialect can be told; none of other requests."""
        return list(self._chat.untranslatable(request.chat))

    def _rendered(self, request: CountRequest) -> JsonObject:
        """The chat in the vendor's words, without settings: they have no tokens and could be refused. Raises: Untranslatable."""
        asked = replace(
            request.chat, max_tokens=None, temperature=None, top_p=None, top_k=None, stop=(), user=None, is_stream=False
        )
        return self._chat.render_request(asked)

    def unpriced(self, body: JsonObject) -> list[str]:
        """What a chat is refused for. Counting costs nothing, but what lies at the vendor may be another caller's."""
        return list(self._chat.unpriced(body))


class AnthropicCount(_Counting):
    """Implements `methods.dialects.once.OnceDialect` for `count_tokens`, below a base URL that is the vendor's root."""

    def __init__(self, *, api_version: ApiVersion = "2023-06-01") -> None:
        super().__init__(Anthropic(api_version=api_version))

    def parse_request(self, body: JsonObject, *, model: str | None = None, is_single: bool = False) -> CountRequest:  # noqa: ARG002  # of the contract
        """A client's request, by the rules of its API version. Raises: Untranslatable."""
        return CountRequest(self._chat.parse_request(body, model=model))

    def render_request(self, request: CountRequest) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable."""
        body = self._rendered(request)
        return {name: value for name, value in body.items() if name in _ANTHROPIC_COUNTED}

    def path(self, request: CountRequest) -> str:  # noqa: ARG002 - this vendor keeps the model in the body
        """The URL path below the provider's base URL."""
        return "/v1/messages/count_tokens"

    def parse_reply(self, body: JsonObject) -> CountReply:
        """A reply. Raises: ValueError when it is not one."""
        return CountReply(_count_in(body, "input_tokens"))

    def render_reply(self, reply: CountReply, request: CountRequest) -> JsonObject:  # noqa: ARG002  # of the contract
        """A reply for a client of this vendor."""
        return {"input_tokens": reply.tokens_input}

    def amended(self, body: JsonObject, request: CountRequest) -> JsonObject:
        """The client's own body with the model; the same object where it has it."""
        named = body if body.get("model") == request.model else {**body, "model": request.model}
        return replaced(named, "messages", without_unsigned_thinking)


class ResponsesCount(_Counting):
    """Implements `methods.dialects.once.OnceDialect` for the input tokens of Responses, below a base URL that ends in `/v1`."""

    def __init__(self) -> None:
        super().__init__(Responses())

    def parse_request(self, body: JsonObject, *, model: str | None = None, is_single: bool = False) -> CountRequest:  # noqa: ARG002  # of the contract
        """A client's request. Raises: Untranslatable."""
        return CountRequest(self._chat.parse_request(body, model=model))

    def render_request(self, request: CountRequest) -> JsonObject:
        """The body to send upstream. Raises: Untranslatable."""
        body = self._rendered(request)
        return {name: value for name, value in body.items() if name in _RESPONSES_COUNTED}

    def path(self, request: CountRequest) -> str:  # noqa: ARG002 - this vendor keeps the model in the body
        """The URL path below the provider's base URL."""
        return "/responses/input_tokens"

    def parse_reply(self, body: JsonObject) -> CountReply:
        """A reply. Raises: ValueError when it is not one."""
        return CountReply(_count_in(body, "input_tokens"))

    def render_reply(self, reply: CountReply, request: CountRequest) -> JsonObject:  # noqa: ARG002  # of the contract
        """A reply for a client of this dialect."""
        return {"object": "response.input_tokens", "input_tokens": reply.tokens_input}

    def amended(self, body: JsonObject, request: CountRequest) -> JsonObject:
        """The client's own body with the model; the same object where it has it."""
        named = body if body.get("model") == request.model else {**body, "model": request.model}
        return replaced(named, "input", without_foreign_thinking)


class GeminiCount(_Counting):
    """Implements `methods.dialects.once.OnceDialect` for countTokens, below a base URL that is the vendor's root."""

    def __init__(self, *, api_version: Literal["v1", "v1beta", "v1alpha"] = "v1") -> None:
        super().__init__(Gemini(api_version=api_version))
        self._version = api_version

    def parse_request(self, body: JsonObject, *, model: str | None = None, is_single: bool = False) -> CountRequest:  # noqa: ARG002  # of the contract
        """A client's request: contents alone, or a whole request. Raises: Untranslatable."""
        given = members_of(body)
        whole = given.get(_WHOLE)
        return CountRequest(self._chat.parse_request(given if whole is None else object_at(whole, _WHOLE), model=model))

    def render_request(self, request: CountRequest) -> JsonObject:
        """The body to send upstream: contents alone where there is nothing else. Raises: Untranslatable."""
        body = self._rendered(request)
        if body.keys() == {"contents"}:
            return body
        return {_WHOLE: {"model": resource_of(request.model), **body}}

    def unpriced(self, body: JsonObject) -> list[str]:
        """The same, of the whole request where there is one. Raises: Untranslatable."""
        whole = members_of(body).get(_WHOLE)
        return super().unpriced(whole if isinstance(whole, dict) else body)

    def path(self, request: CountRequest) -> str:
        """The URL path below the provider's base URL. Raises: Untranslatable for a model that is no name."""
        return path_of(self._version, request.model, "countTokens")

    def parse_reply(self, body: JsonObject) -> CountReply:
        """A reply. Raises: ValueError when it is not one."""
        return CountReply(_count_in(members_of(body), "totalTokens"))

    def render_reply(self, reply: CountReply, request: CountRequest) -> JsonObject:  # noqa: ARG002  # of the contract
        """A reply for a client of this vendor."""
        return {"totalTokens": reply.tokens_input}

    def amended(self, body: JsonObject, request: CountRequest) -> JsonObject:
        """The client's own body; a whole request in it repeats the model of the URL."""
        for place in (_WHOLE, "generate_content_request"):
            whole, name = body.get(place), resource_of(request.model)
            if isinstance(whole, dict) and whole.get("model") != name:
                return {**body, place: {**whole, "model": name}}
        return body


def _count_in(body: JsonObject, name: str) -> int:
    count = tokens_of(body, name)
    if count is None:
        raise ValueError(f"the reply has no {name!r}")
    return count
