"""Which dialect a client of a vendor's door speaks, by its name and version. Made once; a dialect keeps no state."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from methods.dialects.base import Dialect
from methods.dialects.canonical_once import Operation
from methods.dialects.once import AnyOnce

if TYPE_CHECKING:
    from methods.dialects.anthropic_request import ApiVersion

KINDS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "responses": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
}
"""Of each dialect: the kind of the providers whose own keys its clients bring."""


@cache
def dialect_of(name: str, version: str | None = None) -> Dialect:
    """The dialect. `version` is the vendor's API version, where it has several that matter. Raises: KeyError."""
    return _MAKERS[name](version)


@cache
def once_of(name: str, operation: Operation, version: str | None = None) -> AnyOnce:
    """The dialect of what is no chat. Raises: KeyError for what the vendor does not do."""
    return _ONCE_MAKERS[name, operation](version)


# Each is imported when its first client comes, so that a start loads only what the configuration names.
def _openai(_: str | None) -> Dialect:
    from methods.dialects.openai import OpenAI  # noqa: PLC0415  # see above

    return OpenAI()


def _anthropic(version: str | None) -> Dialect:
    from methods.dialects.anthropic import Anthropic  # noqa: PLC0415  # see above

    return Anthropic(api_version=_anthropic_version(version))


def _anthropic_version(version: str | None) -> "ApiVersion":
    return "2026-10-21" if version == "2026-10-21" else "2023-06-01"


def _gemini_version(version: str | None) -> Literal["v1", "v1beta", "v1alpha"]:
    match version:
        case "v1beta" | "v1alpha":
            return version
        case _:
            return "v1"


def _gemini(version: str | None) -> Dialect:
    from methods.dialects.gemini import Gemini  # noqa: PLC0415  # see above

    return Gemini(api_version=_gemini_version(version))


def _responses(_: str | None) -> Dialect:
    from methods.dialects.responses import Responses  # noqa: PLC0415  # see above

    return Responses()


_MAKERS: Final = {"openai": _openai, "responses": _responses, "anthropic": _anthropic, "gemini": _gemini}


def _openai_embeddings(_: str | None) -> AnyOnce:
    from methods.dialects.openai_embeddings import OpenAIEmbeddings  # noqa: PLC0415  # see above

    return OpenAIEmbeddings()


def _gemini_embeddings(version: str | None) -> AnyOnce:
    from methods.dialects.gemini_embeddings import GeminiEmbeddings  # noqa: PLC0415  # see above

    return GeminiEmbeddings(api_version=_gemini_version(version))


def _responses_count(_: str | None) -> AnyOnce:
    from methods.dialects.counting import ResponsesCount  # noqa: PLC0415  # see above

    return ResponsesCount()


def _anthropic_count(version: str | None) -> AnyOnce:
    from methods.dialects.counting import AnthropicCount  # noqa: PLC0415  # see above

    return AnthropicCount(api_version=_anthropic_version(version))


def _gemini_count(version: str | None) -> AnyOnce:
    from methods.dialects.counting import GeminiCount  # noqa: PLC0415  # see above

    return GeminiCount(api_version=_gemini_version(version))


_ONCE_MAKERS: Final[Mapping[tuple[str, Operation], Callable[[str | None], AnyOnce]]] = {
    ("openai", "embed"): _openai_embeddings,
    ("gemini", "embed"): _gemini_embeddings,
    ("responses", "count"): _responses_count,
    ("anthropic", "count"): _anthropic_count,
    ("gemini", "count"): _gemini_count,
}
