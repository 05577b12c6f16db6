"""Exchanges for the OpenRPC document. The tests send each one; figures are samples, shapes are promises."""

from collections.abc import Mapping
from typing import Final

from methods.method import Example

_ANSWER: Final[Mapping[str, object]] = {
    "content": "Quantum computing uses ...",
    "success": True,
    "data": {
        "content": "Quantum computing uses ...",
        "usage": {"promptTokens": 45, "completionTokens": 256, "totalTokens": 301},
        "model": "claude-sonnet-4-5",
        "provider": "anthropic",
        "requestId": "req_0123456789abcdef",
        "finishReason": "stop",
    },
    "usage": {
        "inputTokens": 45,
        "outputTokens": 256,
        "totalTokens": 301,
        "cachedInputTokens": 0,
        "cacheWriteTokens": 0,
        "reasoningTokens": 0,
    },
    "requestId": "req_0123456789abcdef",
    "model": "claude-sonnet-4-5",
    "provider": "anthropic",
    "finishReason": "stop",
}

EXECUTE_EXAMPLES: Final = (
    Example(
        name="a question",
        params={
            "content": "Explain quantum computing",
            "systemPrompt": "You are a helpful physics tutor",
            "options": {"maxTokens": 1000},
        },
        result=_ANSWER,
    ),
    Example(
        name="a conversation with labels",
        params={
            "messages": [
                {"role": "user", "content": "My name is Ada."},
                {"role": "assistant", "content": "Hello Ada."},
                {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
            ],
            "options": {"maxTokens": 100, "temperature": 0.2, "stop": ["END"]},
            "metadata": {"ticket": "4711"},
            "featureId": "chat",
        },
        result=_ANSWER,
    ),
    Example(
        name="with an own provider key",
        params={
            "content": "console.log('Hello');",
            "systemPrompt": "Review this code",
            "apiKey": "your-provider-key",
        },
        result=_ANSWER,
    ),
)
