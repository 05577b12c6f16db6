"""The three vendors' real wire as bytes: replies, streams, errors and model lists. Built once, sent many times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Vendor = Literal["openai", "anthropic", "google"]

WORDS = ("Grüße, ", "ready ", "when ", "you ", "are ", "✓ ", "世界 ", "done.")
TEXT = "".join(WORDS)
TOKENS_IN = 11
TOKENS_OUT = 7
JSON_WORDS = ('{"city":', '"Berlin"', ',"degrees":21}')
"""What a model says that was asked for this shape."""


@dataclass(frozen=True)
class Wire:
    """What one vendor answers with."""

    reply: bytes
    events: tuple[bytes, ...]
    """Server-sent events, each with its blank line."""


def wire_of(vendor: Vendor, model: str, words: Sequence[str] = WORDS) -> Wire:
    """A whole reply and the same as a stream."""
    return {"openai": _openai, "anthropic": _anthropic, "google": _google}[vendor](model, words)


def error_of(vendor: Vendor, status: int, message: str) -> bytes:
    """An error reply."""
    kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error", 404: "not_found_error"}
    kind = kinds.get(status, "api_error" if status >= 500 else "invalid_request_error")
    match vendor:
        case "openai":
            return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": None}})
        case "anthropic":
            return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
        case "google":
            words = {401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
            word = words.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
            return orjson.dumps({"error": {"code": status, "message": message, "status": word}})


def stream_error_of(vendor: Vendor, message: str) -> bytes:
    """An error in the middle of a stream."""
    body = error_of(vendor, 529 if vendor == "anthropic" else 503, message)
    return (b"event: error\n" if vendor == "anthropic" else b"") + b"data: " + body + b"\n\n"


def models_of(vendor: Vendor) -> bytes:
    """A list of models."""
    match vendor:
        case "openai":
            return b'{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"fake"}]}'
        case "anthropic":
            return b'{"data":[],"has_more":false,"first_id":null,"last_id":null}'
        case "google":
            return b'{"models":[]}'


def data_event(value: dict[str, Any], event: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + orjson.dumps(value) + b"\n\n"


def _openai(model: str, words: Sequence[str]) -> Wire:
    usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
    reply = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "stop"}],
        "usage": usage,
    }

    def chunk(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
        head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1, "model": model}
        return data_event({**head, "choices": choices, "usage": usage})

    def delta(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        return chunk([{"index": 0, "delta": delta, "finish_reason": finish_reason}])

    texts = [delta({"content": word}) for word in words]
    ends = (delta({}, "stop"), chunk([], usage), b"data: [DONE]\n\n")
    return Wire(orjson.dumps(reply), (delta({"role": "assistant", "content": ""}), *texts, *ends))


def _anthropic(model: str, words: Sequence[str]) -> Wire:
    head = {"id": "msg_fake", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    reply = {
        **head,
        "content": [{"type": "text", "text": "".join(words)}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT},
    }
    usage = {"input_tokens": TOKENS_IN, "output_tokens": 1}
    started = {"type": "message_start", "message": {**head, "content": [], "stop_reason": None, "usage": usage}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    texts = [
        data_event(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}},
            "content_block_delta",
        )
        for word in words
    ]
    ended = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": TOKENS_OUT},
    }
    return Wire(
        orjson.dumps(reply),
        (
            data_event(started, "message_start"),
            data_event(block, "content_block_start"),
            data_event({"type": "ping"}, "ping"),
            *texts,
            data_event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
            data_event(ended, "message_delta"),
            data_event({"type": "message_stop"}, "message_stop"),
        ),
    )


def _google(model: str, words: Sequence[str]) -> Wire:
    usage = {
        "promptTokenCount": TOKENS_IN,
        "candidatesTokenCount": TOKENS_OUT,
        "totalTokenCount": TOKENS_IN + TOKENS_OUT,
    }

    def part(text: str, *, is_last: bool) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
        if is_last:
            candidate["finishReason"] = "STOP"
        body: dict[str, Any] = {"candidates": [candidate], "modelVersion": model, "responseId": "fake"}
        return {**body, "usageMetadata": usage} if is_last else body

    events = tuple(data_event(part(word, is_last=at == len(words) - 1)) for at, word in enumerate(words))
    return Wire(orjson.dumps(part("".join(words), is_last=True)), events)
