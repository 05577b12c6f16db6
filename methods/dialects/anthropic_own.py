"""A client's own message on its way to its own vendor: what is set in it, what is refused, what of its stream passes."""

from collections.abc import Iterator
from typing import Final

import orjson

from methods.dialects.anthropic_request import PRICED_EXTRA
from methods.dialects.canonical import ChatRequest, Json, JsonObject
from methods.dialects.mixed import replaced, without_unsigned_thinking
from methods.dialects.passing import EventPasser
from methods.dialects.relays import RELAYED_USUAL
from methods.dialects.shared import asks_nothing, in_other_letters, inside_in_other_letters

_USUAL: Final[dict[str, tuple[Json, ...]]] = {
    **RELAYED_USUAL,
    "billing_policy": ({"type": "billing_policy", "bill_to": "self"},),
    "inference_geo": ("global",),
    "service_tier": ("auto", "standard_only"),
}
"""Priced members at what costs no more than leaving them out."""
_SPELLED: Final = PRICED_EXTRA | {"max_tokens", "messages", "model", "stream", "system", "tools"}
"""Members that some compatible servers take in any letters, while only these are read here."""
_TURN: Final = frozenset({"content", "role"})
_BLOCK: Final = frozenset(
    {
        *("cache_control", "citations", "content", "data", "id", "input", "is_error", "name", "signature", "source"),
        *("text", "thinking", "tool_use_id", "type"),
    }
)
"""The same of a turn and of a block of its content."""
_CLIENTS_TOOLS: Final = ("custom", "bash_", "text_editor_", "computer_", "memory_")
"""Tools that the client runs itself, so that they cost only their tokens. The vendor's own are charged by use."""
_CLEARING: Final = "clear_"
"""How the kinds of edits begin that only leave out what is old."""
# Tuples, because anything may stand where these words are looked for, also what has no hash.
_MEDIA: Final = ("container_upload", "document", "file", "image")
"""Blocks whose tokens do not stand in them as text."""
_IMAGE_SOURCES: Final = ("base64", "url")
_SAID: Final = ("text", "thinking", "redacted_thinking", "tool_use")


def unpriced(body: JsonObject) -> list[str]:
    """The members whose use the vendor charges apart from tokens at their usual rate, or whose tokens nobody can foresee."""
    found = [
        name
        for name in sorted(PRICED_EXTRA & body.keys())
        if not (asks_nothing(body[name]) or body[name] in _USUAL.get(name, ()) or _only_clears(name, body[name]))
    ]
    found += in_other_letters(body, _SPELLED)
    tools = body.get("tools")
    for place, tool in enumerate(tools if isinstance(tools, list) else ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and not kind.startswith(_CLIENTS_TOOLS):
            found.append(f"tools[{place}]")
    found += _unforeseen(body.get("system"), "system")
    messages = body.get("messages")
    for place, message in enumerate(messages if isinstance(messages, list) else ()):
        if not isinstance(message, dict):
            continue
        if not _TURN.issuperset(message):  # seldom
            found += inside_in_other_letters(message, _TURN, f"messages[{place}]")
        content = message.get("content")
        found += _unforeseen(content, f"messages[{place}].content")
    return found


def _only_clears(name: str, value: Json) -> bool:
    """Whether a member manages the context by leaving something out, which costs nothing."""
    if name != "context_management":
        return False
    edits = value.get("edits") if isinstance(value, dict) else None
    kinds = [edit.get("type") if isinstance(edit, dict) else None for edit in edits] if isinstance(edits, list) else [0]
    return value == {} or all(isinstance(kind, str) and kind.startswith(_CLEARING) for kind in kinds)


def _unforeseen(content: Json, field: str) -> Iterator[str]:
    """Blocks whose tokens depend on something that is not in the request, or that are not counted where they stand.

    Images are counted in a turn and in a tool's result; text in a document. Files, pages of a PDF, and images inside of other
    blocks are not.
    """
    for place, block in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(block, dict):
            continue
        kind, source, here = block.get("type"), block.get("source"), f"{field}[{place}]"
        if not _BLOCK.issuperset(block):
            yield from inside_in_other_letters(block, _BLOCK, here)
        source_kind = source.get("type") if isinstance(source, dict) else None
        if kind == "tool_result":
            yield from _unforeseen(block.get("content"), f"{here}.content")
        elif kind == "document" and source_kind in ("text", "content"):
            if _holds_media(source):
                yield here
        elif kind == "image" and source_kind in _IMAGE_SOURCES:
            continue
        elif kind not in _SAID and _holds_media(block):
            yield here


def _holds_media(value: Json) -> bool:
    """Whether a block is, or holds anywhere inside, what is no text."""
    if isinstance(value, dict):
        return value.get("type") in _MEDIA or any(map(_holds_media, value.values()))
    return isinstance(value, list) and any(map(_holds_media, value))


def amended(body: JsonObject, request: ChatRequest) -> JsonObject:
    """The body with the request's model, bound and stream. The same object where nothing has to change."""
    changes: JsonObject = {}
    if body.get("model") != request.model:
        changes["model"] = request.model
    if body.get("max_tokens") != request.max_tokens:
        changes["max_tokens"] = request.max_tokens
    if bool(body.get("stream")) != request.is_stream:
        changes["stream"] = request.is_stream
    return replaced({**body, **changes} if changes else body, "messages", without_unsigned_thinking)


def passer() -> EventPasser:
    """Everything passes but errors."""
    return EventPasser(is_error=_is_error)


def _is_error(name: bytes | None, payload: bytes) -> bool:
    if name == b"error":
        return True
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return isinstance(event, dict) and event.get("type") == "error"
