"""Answers that show the model's thinking before their text, on each vendor's wire, whole and as a stream."""

from collections.abc import Sequence
from typing import Any

import orjson

from tests.fakes.wires import TOKENS_IN, TOKENS_OUT, Vendor, Wire, data_event

THOUGHTS = ("First I ", "think.")
TOKENS_THOUGHT = 5
"""Within TOKENS_OUT at OpenAI and Anthropic, beside it at Google."""
SIGNATURE = "c2VhbGVkLXRob3VnaHQ="
"""The vendor's seal; it must come back unchanged."""


def thinking_wire_of(vendor: Vendor, model: str, words: Sequence[str]) -> Wire:
    """A whole reply with THOUGHTS before its text, and the same as a stream."""
    return {"openai": _openai, "anthropic": _anthropic, "google": _google}[vendor](model, words)


def _openai(model: str, words: Sequence[str]) -> Wire:
    usage = {
        "prompt_tokens": TOKENS_IN,
        "completion_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT,
        "completion_tokens_details": {"reasoning_tokens": TOKENS_THOUGHT},
    }
    head = {"id": "chatcmpl-fake", "created": 1, "model": model}
    # What compatible vendors show; OpenAI itself tells only how many tokens it took.
    message = {"role": "assistant", "content": "".join(words), "reasoning_content": "".join(THOUGHTS)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
        return data_event({**head, "object": "chat.completion.chunk", "choices": choices, "usage": None})

    thoughts = [chunk({"reasoning_content": thought}) for thought in THOUGHTS]
    texts = [chunk({"content": word}) for word in words]
    last = data_event({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    ends = (chunk({}, "stop"), last, b"data: [DONE]\n\n")
    reply = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    return Wire(orjson.dumps(reply), (chunk({"role": "assistant", "content": None}), *thoughts, *texts, *ends))


def _anthropic(model: str, words: Sequence[str]) -> Wire:
    head = {"id": "msg_fake", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    thought = {"type": "thinking", "thinking": "".join(THOUGHTS), "signature": SIGNATURE}
    text = {"type": "text", "text": "".join(words)}
    usage = {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT}
    started: dict[str, Any] = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    deltas = (
        [{"type": "thinking_delta", "thinking": piece} for piece in THOUGHTS]
        + [{"type": "signature_delta", "signature": SIGNATURE}],
        [{"type": "text_delta", "text": word} for word in words],
    )
    empties = ({"type": "thinking", "thinking": "", "signature": ""}, {"type": "text", "text": ""})
    events = [data_event({"type": "message_start", "message": started}, "message_start")]
    for at, (empty, pieces) in enumerate(zip(empties, deltas, strict=True)):
        begun = {"type": "content_block_start", "index": at, "content_block": empty}
        events.append(data_event(begun, "content_block_start"))
        events += [
            data_event({"type": "content_block_delta", "index": at, "delta": piece}, "content_block_delta")
            for piece in pieces
        ]
        events.append(data_event({"type": "content_block_stop", "index": at}, "content_block_stop"))
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    last = {"type": "message_delta", "delta": ended, "usage": {"output_tokens": TOKENS_OUT}}
    events += [data_event(last, "message_delta"), data_event({"type": "message_stop"}, "message_stop")]
    reply = {**head, "content": [thought, text], "stop_reason": "end_turn", "usage": usage}
    return Wire(orjson.dumps(reply), tuple(events))


def _google(model: str, words: Sequence[str]) -> Wire:
    usage = {
        "promptTokenCount": TOKENS_IN,
        "candidatesTokenCount": TOKENS_OUT,
        "thoughtsTokenCount": TOKENS_THOUGHT,
        "totalTokenCount": TOKENS_IN + TOKENS_OUT + TOKENS_THOUGHT,
    }

    def body(parts: list[dict[str, Any]], *, is_last: bool) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        said: dict[str, Any] = {"candidates": [candidate], "modelVersion": model, "responseId": "fake"}
        if not is_last:
            return said
        candidate["finishReason"] = "STOP"
        return {**said, "usageMetadata": usage}

    thoughts: list[dict[str, Any]] = [{"text": thought, "thought": True} for thought in THOUGHTS]
    texts: list[dict[str, Any]] = [{"text": word} for word in words]
    texts[0]["thoughtSignature"] = SIGNATURE
    pieces = [*thoughts, *texts]
    events = tuple(data_event(body([piece], is_last=at == len(pieces) - 1)) for at, piece in enumerate(pieces))
    whole: list[dict[str, Any]] = [
        {"text": "".join(THOUGHTS), "thought": True},
        {"text": "".join(words), "thoughtSignature": SIGNATURE},
    ]
    return Wire(orjson.dumps(body(whole, is_last=True)), events)
