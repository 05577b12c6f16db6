"""Complete replies of Anthropic messages, their usage and stop reasons, both ways. Streams are `anthropic_stream`'s matter."""

from collections.abc import Mapping
from typing import Final

from methods.dialects.anthropic_blocks import DIALECT, read_blocks, render_reply_block
from methods.dialects.canonical import ChatReply, FinishReason, Json, JsonObject, Reasoning, Text, ToolCall
from methods.dialects.shared import tokens_of, untold_of
from storage.records.usage import Side, Usage

_REASONS: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_WORDS: Final[Mapping[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "error": "end_turn",
    "other": "end_turn",
}
_READ: Final = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})


def finish_reason_of(word: str | None) -> FinishReason:
    """The canonical reason; `pause_turn` and words not known yet are `other`."""
    return _REASONS.get(word or "", "other")


def stop_reason_of(reason: FinishReason, *, stop_sequence: str | None, native: str | None = None) -> str:
    """This vendor's word: its own one where it is one, else the nearest."""
    if native is not None and (native in _REASONS or native == "pause_turn"):
        return native
    return "stop_sequence" if stop_sequence is not None and reason == "stop" else _WORDS[reason]


def parse_usage(value: Json) -> Usage | None:
    """The vendor's counters, which lie beside each other: input, cache writes, cache reads. None: no usage was sent.

    `output_tokens` includes thinking. Where the split by cache lifetime and the whole contradict each other, or thinking exceeds
    the output, the greater number counts, so that no token is lost; writes that the split does not name count as five minutes.
    """
    if not isinstance(value, dict):
        return None
    fresh, out = tokens_of(value, "input_tokens"), tokens_of(value, "output_tokens")
    if fresh is None and out is None:
        return None
    split, details = value.get("cache_creation"), value.get("output_tokens_details")
    hour = (tokens_of(split, "ephemeral_1h_input_tokens") or 0) if isinstance(split, dict) else 0
    five = (tokens_of(split, "ephemeral_5m_input_tokens") or 0) if isinstance(split, dict) else 0
    written = max(tokens_of(value, "cache_creation_input_tokens") or 0, hour + five)
    thought = (tokens_of(details, "thinking_tokens") or 0) if isinstance(details, dict) else 0
    return Usage(
        input=fresh or 0,
        cache_read=tokens_of(value, "cache_read_input_tokens") or 0,
        cache_write_5m=written - hour,
        cache_write_1h=hour,
        output=max(0, (out or 0) - thought),
        reasoning=thought,
    )


def untold(value: Json) -> Side | None:
    """The side that the vendor has not counted."""
    if not isinstance(value, dict):
        return None
    return untold_of(tokens_of(value, "input_tokens"), tokens_of(value, "output_tokens"))


def render_usage(usage: Usage | None) -> JsonObject:
    """The counters as this vendor's clients read them. They must be there: a usage that nobody knows is shown as zeros."""
    usage = usage or Usage()
    return {
        "input_tokens": usage.input + usage.audio_input + usage.image_input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.tokens_output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }


def parse_reply(body: JsonObject) -> ChatReply:
    """A complete reply. Blocks of the vendor's own tools keep the whole `content` in `extra`. Raises: ValueError.

    One whose content is no array and that was counted all the same is one that nobody can read.
    """
    content = body.get("content")
    if not isinstance(content, list) and (body.get("error") or parse_usage(body.get("usage")) is None):
        raise ValueError("a reply needs an array 'content'")
    parts = read_blocks(content if isinstance(content, list) else [])
    extra: dict[str, Json] = {name: value for name, value in body.items() if name not in _READ and value is not None}
    is_own = [render_reply_block(part, is_own=True) for part in parts] == content
    if not is_own:
        extra["content"] = content
    usage = parse_usage(body.get("usage"))
    if usage is not None and render_usage(usage) != body["usage"]:
        extra["usage"] = body["usage"]
    native, stop = body.get("stop_reason"), body.get("stop_sequence")
    reply_id, model = body.get("id"), body.get("model")
    native = native if isinstance(native, str) else None
    said = tuple(part for part in parts if isinstance(part, Text | Reasoning | ToolCall))
    return ChatReply(
        model=model if isinstance(model, str) else "",
        parts=said,
        is_unread=not said and content != [],
        finish_reason=finish_reason_of(native),
        usage=usage,
        untold=untold(body.get("usage")),
        id=reply_id if isinstance(reply_id, str) else None,
        native_finish_reason=native,
        stop_sequence=stop if isinstance(stop, str) else None,
        dialect=DIALECT,
        extra=extra,
    )


def render_reply(reply: ChatReply) -> JsonObject:
    """A complete reply. Images, which this vendor's replies cannot hold, are left out."""
    is_own = reply.dialect == DIALECT
    extra = dict(reply.extra) if is_own else {}
    blocks = [render_reply_block(part, is_own=is_own) for part in reply.parts]
    content: Json = [block for block in blocks if block is not None]
    counters = extra.pop("usage", None)
    is_same = reply.usage is not None and parse_usage(counters) == reply.usage
    return {
        "id": reply.id or "",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop_reason_of(
            reply.finish_reason,
            stop_sequence=reply.stop_sequence,
            native=reply.native_finish_reason if is_own else None,
        ),
        "stop_sequence": reply.stop_sequence,
        "usage": counters if is_same else render_usage(reply.usage),
        **extra,
    }
