"""Which dialect a client of a vendor's door speaks, by its name and version. Made once; a dialect keeps no state."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from methods.dialects.base import Dialect

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


# Each is imported when its first client comes, so that a start loads only what the configuration names.
def _openai(_: str | None) -> Dialect:
    from methods.dialects.openai import OpenAI  # noqa: PLC0415  # see above

    return OpenAI()


def _anthropic(version: str | None) -> Dialect:
    from methods.dialects.anthropic import Anthropic  # noqa: PLC0415  # see above

    return Anthropic(api_version="2026-10-21" if version == "2026-10-21" else "2023-06-01")


def _gemini(version: str | None) -> Dialect:
    from methods.dialects.gemini import Gemini  # noqa: PLC0415  # see above

    match version:
        case "v1beta" | "v1alpha":
            return Gemini(api_version=version)
        case _:
            return Gemini()


def _responses(_: str | None) -> Dialect:
    from methods.dialects.responses import Responses  # noqa: PLC0415  # see above

    return Responses()


_MAKERS: Final = {"openai": _openai, "responses": _responses, "anthropic": _anthropic, "gemini": _gemini}
