"""A client's own chat completion on its way to its own vendor: what is set in it, what is refused, what of its stream passes."""

from collections.abc import Iterator
from typing import Final

import orjson

from methods.dialects.canonical import ChatRequest, Json, JsonObject
from methods.dialects.mixed import replaced, without_seals
from methods.dialects.openai_extra import PRICED_EXTRA
from methods.dialects.openai_request import MaxTokensField
from methods.dialects.passing import EventPasser
from methods.dialects.relays import RELAYED_USUAL
from methods.dialects.responses_extra import is_long_lived, unpriced_caching
from methods.dialects.shared import asks_nothing, in_other_letters, inside_in_other_letters

_USUAL: Final[dict[str, tuple[Json, ...]]] = {
    **RELAYED_USUAL,
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
}
"""Priced members at what costs no more than leaving them out."""
# Tuples, because anything may stand where these words are looked for, also what has no hash.
_TOOLS: Final = ("function", "custom")
_PARTS: Final = ("text", "image_url", "refusal")
_BOUNDS: Final[tuple[MaxTokensField, MaxTokensField]] = ("max_completion_tokens", "max_tokens")
_SPELLED: Final = PRICED_EXTRA | {*_BOUNDS, "messages", "model", "n", "stream", "tools"}
"""Members that some compatible servers take in any letters, while only these are read here."""
_TURN: Final = frozenset({"audio", "content", "name", "refusal", "role", "tool_call_id", "tool_calls"})
_PART: Final = frozenset({"image_url", "refusal", "text", "type"})
"""The same of a turn and of a part of its content."""
_NO_USAGE: Final = b',"usage":null'


def unpriced(body: JsonObject) -> list[str]:
    """The members whose use the vendor charges apart from tokens at their usual rate, or whose tokens nobody can foresee."""
    found = [
        name
        for name in sorted(PRICED_EXTRA & body.keys())
        if not asks_nothing(body[name]) and body[name] not in _USUAL.get(name, ())
    ]
    found += in_other_letters(body, _SPELLED)
    tools = body.get("tools")
    for place, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict) and tool.get("type", "function") not in _TOOLS:
            found.append(f"tools[{place}]")
    return [*found, *unpriced_caching(body), *_unforeseen(body.get("messages"))]


def _unforeseen(messages: Json) -> Iterator[str]:
    for place, message in enumerate(messages if isinstance(messages, list) else ()):
        if not isinstance(message, dict):
            continue
        if not _TURN.issuperset(message):  # seldom
            yield from inside_in_other_letters(message, _TURN, f"messages[{place}]")
        if not asks_nothing(message.get("audio")):
            yield f"messages[{place}].audio"
        content = message.get("content")
        for number, part in enumerate(content if isinstance(content, list) else ()):
            if not isinstance(part, dict):
                continue
            if not _PART.issuperset(part):
                yield from inside_in_other_letters(part, _PART, f"messages[{place}].content[{number}]")
            if part.get("type") not in _PARTS or is_long_lived(part.get("prompt_cache_breakpoint")):
                yield f"messages[{place}].content[{number}]"


def amended(
    body: JsonObject,
    request: ChatRequest,
    *,
    max_tokens_field: MaxTokensField,
    asks_stream_usage: bool,
    knows_seals: bool,
) -> JsonObject:
    """The body with the request's model, bound and stream. The same object where nothing has to change.

    `knows_seals`: the vendor may be Gemini in OpenAI's words, whose seals of calls then come home.
    """
    if not knows_seals:
        body = replaced(body, "messages", without_seals)
    changes: JsonObject = {}
    removed: set[str] = set()
    if body.get("model") != request.model:
        changes["model"] = request.model
    said = "max_tokens" if "max_tokens" in request.extra else max_tokens_field
    if body.get(said) != request.max_tokens:
        changes[said] = request.max_tokens
        removed = {name for name in _BOUNDS if name != said}
    if bool(body.get("stream")) != request.is_stream:
        changes["stream"] = request.is_stream
    if request.is_stream and asks_stream_usage and not request.wants_stream_usage:
        given = body.get("stream_options")
        changes["stream_options"] = {**(given if isinstance(given, dict) else {}), "include_usage": True}
    elif not request.is_stream:
        removed.add("stream_options")
    if not changes and removed.isdisjoint(body):
        return body
    return {**{name: value for name, value in body.items() if name not in removed}, **changes}


def passer(request: ChatRequest) -> EventPasser:
    """Usage that was asked for on our account alone is taken out again."""
    marks = () if request.wants_stream_usage else (b'"usage"',)
    return EventPasser(
        change=None if request.wants_stream_usage else _without_usage,
        marks=marks,
        is_error=_is_error,
        ending=b"data: [DONE]\n\n",
    )


def _without_usage(payload: bytes) -> bytes:
    if b'"usage"' not in payload:
        return payload
    # Inside a JSON text its quotes are escaped, so these bytes are a member wherever they stand.
    plain = payload.replace(_NO_USAGE, b"")
    if b'"usage"' not in plain:
        return plain
    try:
        chunk = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload
    if not isinstance(chunk, dict) or "usage" not in chunk:
        return payload
    if not chunk.get("choices"):
        return b""
    del chunk["usage"]
    return orjson.dumps(chunk)


def _is_error(name: bytes | None, payload: bytes) -> bool:
    try:
        chunk = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return isinstance(chunk, dict) and bool(chunk.get("error") or name == b"error" or chunk.get("object") == "error")
