"""One conversation, one answer and one stream as each vendor writes them: what the tests of all pairs cross."""

from typing import Any

import orjson

from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Dialect
from methods.dialects.gemini import Gemini
from methods.dialects.openai import OpenAI
from methods.dialects.responses import Responses

DOORS: dict[str, Dialect] = {d.name: d for d in (OpenAI(), Responses(), Anthropic(), Gemini())}
PROVIDERS: dict[str, Dialect] = {d.name: d for d in (OpenAI(), Anthropic(), Gemini())}

SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ANSWER: Any = {"type": "object", "properties": {"warm": {"type": "boolean"}}, "required": ["warm"]}
PIXEL = "iVBORw0KGgo="
URL = "https://example.org/sky.png"
HI: dict[str, Any] = {
    "openai": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"model": "m", "input": "Hi"},
    "anthropic": {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
}
"""The least that each client asks."""


def _openai_asked() -> dict[str, Any]:
    def call(number: int, city: str) -> dict[str, Any]:
        function = {"name": "weather", "arguments": orjson.dumps({"city": city}).decode()}
        return {"id": f"c{number}", "type": "function", "function": function}

    return {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Weather?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
                ],
            },
            {"role": "assistant", "content": "Looking.", "tool_calls": [call(1, "Bonn"), call(2, "Köln")]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "no station"}]},
            {
                "role": "user",
                "content": [{"type": "text", "text": "And this?"}, {"type": "image_url", "image_url": {"url": URL}}],
            },
        ],
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": SCHEMA}}
        ],
        "tool_choice": "required",
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": ANSWER}},
        "reasoning_effort": "high",
        "max_completion_tokens": 5000,
        "temperature": 0.5,
        "stop": ["END"],
    }


def _responses_asked() -> dict[str, Any]:
    def call(number: int, city: str) -> dict[str, Any]:
        arguments = orjson.dumps({"city": city}).decode()
        return {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": f"c{number}",
            "name": "weather",
            "arguments": arguments,
        }

    return {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Weather?"},
                    {"type": "input_image", "detail": "low", "image_url": f"data:image/png;base64,{PIXEL}"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SEAL"},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Looking.", "annotations": []}],
            },
            call(1, "Bonn"),
            call(2, "Köln"),
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            {"type": "function_call_output", "call_id": "c2", "output": "no station"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "And this?"},
                    {"type": "input_image", "detail": "auto", "image_url": URL},
                ],
            },
        ],
        "tools": [
            {"type": "function", "name": "weather", "description": "Tells it", "parameters": SCHEMA, "strict": None}
        ],
        "tool_choice": "required",
        "text": {"format": {"type": "json_schema", "name": "reply", "schema": ANSWER}},
        "reasoning": {"effort": "high"},
        "max_output_tokens": 5000,
        "temperature": 0.5,
    }


def _anthropic_asked() -> dict[str, Any]:
    return {
        "model": "m",
        "system": "Be brief.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Weather?", "cache_control": {"type": "ephemeral"}},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "SEAL"},
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Bonn"}},
                    {"type": "tool_use", "id": "c2", "name": "weather", "input": {"city": "Köln"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
                    {"type": "tool_result", "tool_use_id": "c2", "content": "no station", "is_error": True},
                    {"type": "text", "text": "And this?"},
                    {"type": "image", "source": {"type": "url", "url": URL}},
                ],
            },
        ],
        "tools": [{"name": "weather", "description": "Tells it", "input_schema": SCHEMA}],
        "tool_choice": {"type": "any"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": ANSWER}},
        "max_tokens": 5000,
        "temperature": 0.5,
        "stop_sequences": ["END"],
    }


def _gemini_asked() -> dict[str, Any]:
    def call(number: int, city: str) -> dict[str, Any]:
        return {"functionCall": {"id": f"c{number}", "name": "weather", "args": {"city": city}}}

    return {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Weather?"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"text": "Looking."},
                    {**call(1, "Bonn"), "thoughtSignature": "U0VBTA=="},
                    call(2, "Köln"),
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "rain"}}},
                    {"functionResponse": {"id": "c2", "name": "weather", "response": {"error": "no station"}}},
                    {"text": "And this?"},
                    {"fileData": {"mimeType": "image/png", "fileUri": URL}},
                ],
            },
        ],
        "tools": [
            {"functionDeclarations": [{"name": "weather", "description": "Tells it", "parametersJsonSchema": SCHEMA}]}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": ANSWER,
            "thinkingConfig": {"thinkingLevel": "HIGH"},
            "maxOutputTokens": 5000,
            "temperature": 0.5,
            "stopSequences": ["END"],
        },
    }


ASKED: dict[str, dict[str, Any]] = {
    "openai": _openai_asked(),
    "responses": _responses_asked(),
    "anthropic": _anthropic_asked(),
    "gemini": _gemini_asked(),
}
"""One conversation as a client of each door sends it."""

_CALL: Any = {"id": "c3", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
_OPENAI_USAGE: Any = {
    "prompt_tokens": 30,
    "completion_tokens": 12,
    "total_tokens": 42,
    "prompt_tokens_details": {"cached_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
_ANTHROPIC_USAGE: Any = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 20,
    "output_tokens": 12,
    "output_tokens_details": {"thinking_tokens": 5},
}
_GEMINI_USAGE: Any = {
    "promptTokenCount": 30,
    "cachedContentTokenCount": 20,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 42,
}
_GEMINI_PARTS: list[Any] = [
    {"text": "Hm.", "thought": True},
    {"text": "Grüße "},
    {"text": "🎉"},
    {"functionCall": {"id": "c3", "name": "weather", "args": {"city": "Ulm"}}, "thoughtSignature": "U0VBTA=="},
]

REPLIES: dict[str, dict[str, Any]] = {
    "openai": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Grüße 🎉",
                    "reasoning_content": "Hm.",
                    "tool_calls": [_CALL],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": _OPENAI_USAGE,
    },
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "SEAL"},
            {"type": "text", "text": "Grüße 🎉"},
            {"type": "tool_use", "id": "c3", "name": "weather", "input": {"city": "Ulm"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": _ANTHROPIC_USAGE,
    },
    "gemini": {
        "candidates": [
            {
                "content": {"role": "model", "parts": [_GEMINI_PARTS[0], {"text": "Grüße 🎉"}, _GEMINI_PARTS[3]]},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": _GEMINI_USAGE,
        "modelVersion": "gemini",
        "responseId": "g1",
    },
}
"""One answer as each provider gives it: thinking, text, a call, usage with a cache and thinking."""


def _frame(value: Any, name: str = "") -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + orjson.dumps(value) + b"\n\n"


def _openai_stream() -> bytes:
    def chunk(delta: Any, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _frame(
            {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "choices": [choice]}
        )

    def called(**function: str) -> Any:
        return {"tool_calls": [{"index": 0, "function": function}]}

    return b"".join(
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"reasoning_content": "Hm."}),
            chunk({"content": "Grüße "}),
            chunk({"content": "🎉"}),
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "c3", "type": "function", "function": {"name": "weather", "arguments": ""}}
                    ]
                }
            ),
            chunk(called(arguments='{"city":')),
            chunk(called(arguments='"Ulm"}')),
            chunk({}, "tool_calls"),
            _frame(
                {
                    "id": "chatcmpl-1",
                    "object": "chat.completion.chunk",
                    "model": "gpt",
                    "choices": [],
                    "usage": _OPENAI_USAGE,
                }
            ),
            b"data: [DONE]\n\n",
        ]
    )


def _anthropic_stream() -> bytes:
    def event(kind: str, **members: Any) -> bytes:
        return _frame({"type": kind, **members}, kind)

    def block(index: int, opened: Any, *deltas: Any) -> bytes:
        said = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
        return b"".join(
            [
                event("content_block_start", index=index, content_block=opened),
                *said,
                event("content_block_stop", index=index),
            ]
        )

    head: Any = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
    }
    return b"".join(
        [
            event("message_start", message={**head, "usage": {**_ANTHROPIC_USAGE, "output_tokens": 1}}),
            event("ping"),
            block(
                0,
                {"type": "thinking", "thinking": "", "signature": ""},
                {"type": "thinking_delta", "thinking": "Hm."},
                {"type": "signature_delta", "signature": "SEAL"},
            ),
            block(
                1,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "Grüße "},
                {"type": "text_delta", "text": "🎉"},
            ),
            block(
                2,
                {"type": "tool_use", "id": "c3", "name": "weather", "input": {}},
                {"type": "input_json_delta", "partial_json": '{"city":'},
                {"type": "input_json_delta", "partial_json": '"Ulm"}'},
            ),
            event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage=_ANTHROPIC_USAGE),
            event("message_stop"),
        ]
    )


def _gemini_stream() -> bytes:
    def chunk(part: Any, **members: Any) -> bytes:
        candidate = {"content": {"role": "model", "parts": [part]}, "index": 0, **members}
        body = {"candidates": [candidate], "modelVersion": "gemini", "responseId": "g1"}
        return _frame({**body, "usageMetadata": _GEMINI_USAGE} if members else body)

    return b"".join([*map(chunk, _GEMINI_PARTS), chunk({"text": ""}, finishReason="STOP")])


STREAMS: dict[str, bytes] = {"openai": _openai_stream(), "anthropic": _anthropic_stream(), "gemini": _gemini_stream()}
"""The same answers as streams."""
