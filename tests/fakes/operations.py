"""What the vendors answer beside chat: embeddings, counts of tokens, and OpenAI's responses, whole and as a stream."""

import struct
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import orjson

from tests.fakes.tool_wires import CALLS
from tests.fakes.wires import TOKENS_IN, TOKENS_OUT, Wire, data_event

VECTOR = (0.25, -1.5, 3.0, 0.0)
"""What any text is embedded to: exact as a 32-bit float."""
TOKENS_EMBEDDED = 5
"""Of each input."""


_COUNTS: dict[str, bytes] = {
    "count_tokens": b'{"input_tokens":%d}' % TOKENS_IN,
    "countTokens": b'{"totalTokens":%d}' % TOKENS_IN,
    "input_tokens": b'{"object":"response.input_tokens","input_tokens":%d}' % TOKENS_IN,
}


def answer_to(path: str, body: bytes) -> bytes | None:
    """The reply to a request for one of the one-shot operations; None: it is for chat."""
    operation = path.partition("?")[0].replace(":", "/").rpartition("/")[2]
    match operation:
        case "embeddings":
            return _openai_embeddings(orjson.loads(body))
        case "batchEmbedContents":
            return orjson.dumps({"embeddings": [{"values": VECTOR} for _ in orjson.loads(body)["requests"]]})
        case "embedContent":
            return orjson.dumps({"embedding": {"values": VECTOR}})
    return _COUNTS.get(operation)


def _openai_embeddings(asked: dict[str, Any]) -> bytes:
    given = asked["input"]
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    is_packed = asked.get("encoding_format") == "base64"
    vector = b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode() if is_packed else VECTOR
    used = TOKENS_EMBEDDED * count
    return orjson.dumps(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": at, "embedding": vector} for at in range(count)],
            "model": asked["model"],
            "usage": {"prompt_tokens": used, "total_tokens": used},
        }
    )


def responses_wire_of(model: str, words: Sequence[str], *, calls_tools: bool) -> Wire:
    """A whole response and the same as named, numbered events."""
    items = _calls() if calls_tools else [_message("".join(words))]
    done = _response(model, items, is_done=True)
    begun = _response(model, [], is_done=False)
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for at, item in enumerate(items):
        events += _call_events(at, item) if calls_tools else _message_events(item, words)
    events.append({"type": "response.completed", "response": done})
    numbered = [data_event({**event, "sequence_number": at}, event["type"]) for at, event in enumerate(events)]
    return Wire(orjson.dumps(done), tuple(numbered))


def _response(model: str, output: list[dict[str, Any]], *, is_done: bool) -> dict[str, Any]:
    usage = {
        "input_tokens": TOKENS_IN,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": TOKENS_OUT,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": TOKENS_IN + TOKENS_OUT,
    }
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": 1,
        "status": "completed" if is_done else "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if is_done else None,
    }


def _message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": "msg_fake", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def _calls() -> list[dict[str, Any]]:
    return [
        {
            "id": f"fc_{id_}",
            "type": "function_call",
            "call_id": id_,
            "name": name,
            "arguments": orjson.dumps(arguments).decode(),
            "status": "completed",
        }
        for id_, name, arguments in CALLS
    ]


def _message_events(item: dict[str, Any], words: Sequence[str]) -> list[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    [part] = item["content"]
    begun = {**item, "status": "in_progress", "content": []}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in words),
        {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
    ]


def _call_events(at: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": at}
    arguments: str = item["arguments"]
    begun = {**item, "status": "in_progress", "arguments": ""}
    kind = "response.function_call_arguments"
    return [
        {"type": "response.output_item.added", "output_index": at, "item": begun},
        {"type": f"{kind}.delta", **where, "delta": arguments[:7]},
        {"type": f"{kind}.delta", **where, "delta": arguments[7:]},
        {"type": f"{kind}.done", **where, "name": item["name"], "arguments": arguments},
        {"type": "response.output_item.done", "output_index": at, "item": item},
    ]
