"""What the tests of this dialect share: golden files, a collector of streams, chunks as a vendor writes them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from methods.dialects.canonical import (
    ChatReply,
    Finished,
    Part,
    Reasoning,
    ReasoningDelta,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UsageSeen,
)

HERE = Path(__file__).parent


def golden(name: str) -> list[Any]:
    cases: list[Any] = json.loads((HERE / f"golden_{name}.json").read_text("utf-8"))
    return cases


def sse(*chunks: Any, done: bool = True) -> bytes:
    frames = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
    return b"".join(frames) + (b"data: [DONE]\n\n" if done else b"")


def chunk(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return {**head, "choices": [choice], **more}


def collected(events: Iterable[StreamEvent]) -> ChatReply:
    """The complete reply that a stream stands for: thinking, text, tool calls."""
    text, thought, usage, finished, started = "", "", None, Finished("other"), Started(None, None)
    calls: dict[int, ToolCall] = {}
    for event in events:
        match event:
            case TextDelta():
                text += event.text
            case ReasoningDelta():
                thought += event.text
            case ToolCallDelta():
                call = calls.get(event.index) or ToolCall(event.id or "", event.name or "", "")
                calls[event.index] = ToolCall(call.id, call.name, call.arguments + event.arguments)
            case UsageSeen():
                usage = event.usage
            case Finished():
                finished = event
            case Started():
                started = event
    parts: list[Part] = [Reasoning(thought)] if thought else []
    parts += [Text(text)] if text else []
    parts += calls.values()
    return ChatReply(
        model=started.model or "",
        parts=tuple(parts),
        finish_reason=finished.finish_reason,
        usage=usage,
        id=started.id,
        native_finish_reason=finished.native_finish_reason,
        dialect="openai",
    )
