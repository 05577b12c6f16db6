"""Answers that ask for two tools at once, on each vendor's wire, whole and as a stream."""

from typing import Any

import orjson

from tests.fakes.wires import TOKENS_IN, TOKENS_OUT, Vendor, Wire, data_event

CALLS = (("call_fake_1", "weather", {"city": "Berlin"}), ("call_fake_2", "weather", {"city": "世界"}))
"""Id, tool and arguments of each call."""


def tool_wire_of(vendor: Vendor, model: str) -> Wire:
    """A whole reply that asks for CALLS, and the same as a stream."""
    return {"openai": _openai, "anthropic": _anthropic, "google": _google}[vendor](model)


def _halves(arguments: dict[str, Any]) -> tuple[str, str]:
    text = orjson.dumps(arguments).decode()
    return text[:7], text[7:]


def _openai(model: str) -> Wire:
    usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
    head = {"id": "chatcmpl-fake", "created": 1, "model": model}
    calls: list[dict[str, Any]] = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": orjson.dumps(arguments).decode()}}
        for id_, name, arguments in CALLS
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
        return data_event({**head, "object": "chat.completion.chunk", "choices": choices, "usage": None})

    fragments: list[bytes] = []
    for at, (id_, name, arguments) in enumerate(CALLS):
        begun = {"index": at, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
        fragments.append(chunk({"tool_calls": [begun]}))
        fragments += [
            chunk({"tool_calls": [{"index": at, "function": {"arguments": half}}]}) for half in _halves(arguments)
        ]
    last = data_event({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    ends = (chunk({}, "tool_calls"), last, b"data: [DONE]\n\n")
    reply = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    return Wire(orjson.dumps(reply), (chunk({"role": "assistant", "content": None}), *fragments, *ends))


def _anthropic(model: str) -> Wire:
    head = {"id": "msg_fake", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    blocks = [{"type": "tool_use", "id": id_, "name": name, "input": arguments} for id_, name, arguments in CALLS]
    usage = {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT}
    started: dict[str, Any] = {
        **head,
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": TOKENS_IN, "output_tokens": 1},
    }
    events = [data_event({"type": "message_start", "message": started}, "message_start")]
    for at, (_, _, arguments) in enumerate(CALLS):
        begun = {"type": "content_block_start", "index": at, "content_block": {**blocks[at], "input": {}}}
        events.append(data_event(begun, "content_block_start"))
        for half in ("", *_halves(arguments)):
            delta = {"type": "input_json_delta", "partial_json": half}
            events.append(
                data_event({"type": "content_block_delta", "index": at, "delta": delta}, "content_block_delta")
            )
        events.append(data_event({"type": "content_block_stop", "index": at}, "content_block_stop"))
    ended = {"stop_reason": "tool_use", "stop_sequence": None}
    events.append(
        data_event({"type": "message_delta", "delta": ended, "usage": {"output_tokens": TOKENS_OUT}}, "message_delta")
    )
    events.append(data_event({"type": "message_stop"}, "message_stop"))
    return Wire(orjson.dumps({**head, "content": blocks, "stop_reason": "tool_use", "usage": usage}), tuple(events))


def _google(model: str) -> Wire:
    usage = {
        "promptTokenCount": TOKENS_IN,
        "candidatesTokenCount": TOKENS_OUT,
        "totalTokenCount": TOKENS_IN + TOKENS_OUT,
    }
    parts: list[dict[str, Any]] = [
        {"functionCall": {"id": id_, "name": name, "args": arguments}} for id_, name, arguments in CALLS
    ]
    parts[0]["thoughtSignature"] = "c2lnbmVk"

    def body(parts: list[dict[str, Any]], *, is_last: bool) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if not is_last:
            return {"candidates": [candidate], "modelVersion": model, "responseId": "fake"}
        candidate["finishReason"] = "STOP"
        return {"candidates": [candidate], "modelVersion": model, "responseId": "fake", "usageMetadata": usage}

    events = tuple(data_event(body([part], is_last=at == len(parts) - 1)) for at, part in enumerate(parts))
    return Wire(orjson.dumps(body(parts, is_last=True)), events)
