"""Complete replies of Gemini and its finish reasons, both ways. Streams are `gemini_stream`'s matter."""

from collections.abc import Mapping
from typing import Final

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    ChatReply,
    FinishReason,
    Image,
    Json,
    JsonObject,
    Part,
    Reasoning,
    Text,
    ToolCall,
)
from methods.dialects.gemini_names import DIALECT
from methods.dialects.gemini_parts import CallIds, parse_part, render_reply_part
from methods.dialects.gemini_usage import parse_usage, render_usage, untold

_REASONS: Final[Mapping[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
}
_WORDS: Final[Mapping[FinishReason, str]] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "error": "OTHER",
    "other": "OTHER",
}
_CALLS: Final = ("functionCall", "function_call")
_UNSPECIFIED: Final = "FINISH_REASON_UNSPECIFIED"
_READ: Final = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
_READ_CANDIDATE: Final = frozenset({"content", "finishReason", "index"})


def finish_reason_of(word: str | None, *, calls_tools: bool) -> FinishReason:
    """The canonical reason. The vendor says STOP for tool calls as well."""
    reason = _REASONS.get(word or "", "other")
    return "tool_calls" if calls_tools and reason == "stop" else reason


def word_of_finish(reason: FinishReason, native: str | None) -> str:
    """This vendor's word: its own one where it is one, else the nearest."""
    return native if native is not None and native in _REASONS else _WORDS[reason]


def finish_word_of(candidate: Mapping[str, Json]) -> str | None:
    """The vendor's finish reason, None while there is none."""
    word = candidate.get("finishReason")
    return word if isinstance(word, str) and word and word != _UNSPECIFIED else None


def block_reason_of(body: Mapping[str, Json]) -> str | None:
    """Why the prompt was refused, None when it was not."""
    match body.get("promptFeedback"):
        case {"blockReason": str(reason)} if reason:
            return reason
        case _:
            return None


def parse_reply(body: JsonObject) -> ChatReply:
    """A complete reply; a refused prompt is one without parts. Raises: ValueError."""
    candidates = body.get("candidates")
    candidate = candidates[0] if isinstance(candidates, list) and candidates else None
    blocked = block_reason_of(body)
    if not isinstance(candidate, dict):
        if blocked is None and "usageMetadata" not in body:
            raise ValueError("a reply needs 'candidates' or 'promptFeedback'")
        candidate = {}
    reply_id, model = body.get("responseId"), body.get("modelVersion")
    reply_id = reply_id if isinstance(reply_id, str) else None
    extra: dict[str, Json] = {name: value for name, value in body.items() if name not in _READ and value is not None}
    parts = _parse_parts(candidate.get("content"), extra, CallIds(reply_id or ""))
    others: JsonObject = {
        name: value for name, value in candidate.items() if name not in _READ_CANDIDATE and value is not None
    }
    if others:
        extra["candidate"] = others
    usage = parse_usage(body.get("usageMetadata"))
    if usage is not None and render_usage(usage) != body["usageMetadata"]:
        extra["usageMetadata"] = body["usageMetadata"]
    native = finish_word_of(candidate)
    calls_tools = any(type(part) is ToolCall for part in parts)
    is_blocked = native is None and blocked is not None
    return ChatReply(
        model=model if isinstance(model, str) else "",
        parts=parts,
        is_unread=not parts and any(map(_says, said)) if isinstance(said := extra.get("parts"), list) else False,
        finish_reason="content_filter" if is_blocked else finish_reason_of(native, calls_tools=calls_tools),
        usage=usage,
        untold=untold(body.get("usageMetadata")),
        id=reply_id,
        native_finish_reason=blocked if is_blocked else native,
        dialect=DIALECT,
        extra=extra,
        others=_said_by(candidates[1:]) if isinstance(candidates, list) and len(candidates) > 1 else (),
    )


def _said_by(candidates: list[Json]) -> tuple[Part, ...]:
    """The parts of further answers."""
    contents = [candidate.get("content") for candidate in candidates if isinstance(candidate, dict)]
    return tuple([part for content in contents for part in _parse_parts(content, {}, CallIds(""))])


def _parse_parts(content: Json, extra: dict[str, Json], ids: CallIds) -> tuple[Part, ...]:
    """What the canonical form cannot say keeps all parts in `extra`."""
    given = content.get("parts") if isinstance(content, dict) else None
    if not isinstance(given, list):
        return ()
    parsed = [read_part(item, ids) for item in given]
    parts = tuple(part for part in parsed if isinstance(part, Text | Reasoning | ToolCall | Image))
    if [render_reply_part(part, is_own=True) for part in parts] != given:
        extra["parts"] = given
    return parts


def read_part(value: Json, ids: CallIds) -> Part | None:
    """A part of a reply, which never raises: None for one that nobody can read, a call without a name for such a call."""
    try:
        return parse_part(value, "parts", ids)
    except Untranslatable:
        is_call = isinstance(value, dict) and not value.keys().isdisjoint(_CALLS)
        return ToolCall("", "", "{}") if is_call else None


def _says(part: Json) -> bool:
    """Whether a part holds anything beside a seal."""
    return isinstance(part, dict) and any(value for name, value in part.items() if not name.startswith("thought"))


def render_reply(reply: ChatReply) -> JsonObject:
    """A complete reply."""
    is_own = reply.dialect == DIALECT
    extra = dict(reply.extra) if is_own else {}
    verbatim, others, counters = (
        extra.pop("parts", None),
        extra.pop("candidate", None),
        extra.pop("usageMetadata", None),
    )
    body: JsonObject = {}
    if not (is_own and not reply.parts and block_reason_of(extra)):
        parts: Json = [render_reply_part(part, is_own=is_own) for part in reply.parts if is_whole(part)]
        native = reply.native_finish_reason if is_own else None
        candidate: JsonObject = {
            "content": {"role": "model", "parts": parts if verbatim is None else verbatim},
            "finishReason": native or _WORDS[reply.finish_reason],
            "index": 0,
        }
        body["candidates"] = [{**candidate, **(others if isinstance(others, dict) else {})}]
    if reply.usage is not None:
        is_same = parse_usage(counters) == reply.usage
        body["usageMetadata"] = counters if is_same else render_usage(reply.usage)
    body["modelVersion"] = reply.model
    if reply.id is not None:
        body["responseId"] = reply.id
    return {**body, **extra}


def is_whole(part: Part) -> bool:
    """Whether a reply of this vendor can hold it: opaque thinking of another vendor and images without anything cannot be."""
    if isinstance(part, Reasoning):
        return not part.is_redacted
    return not isinstance(part, Image) or bool(part.data or part.url)
