"""Foreign JSON of any shape is read or refused, and nothing else is ever raised."""

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Dialect
from methods.dialects.counting import AnthropicCount, GeminiCount, ResponsesCount
from methods.dialects.gemini import Gemini
from methods.dialects.gemini_embeddings import GeminiEmbeddings
from methods.dialects.openai import OpenAI
from methods.dialects.openai_embeddings import OpenAIEmbeddings
from methods.dialects.responses import Responses
from tests.methods.dialects.anthropic import test_anthropic
from tests.methods.dialects.gemini import test_gemini
from tests.methods.dialects.openai.wire import golden
from tests.methods.dialects.responses import test_replies, test_requests, test_streams

ODD = st.sampled_from([None, True, 0, -1, 1.5, "", "x", [], [1], {}, {"a": [None]}])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a value with a key into it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in [(value, key), *places(item)]]


@pytest.mark.parametrize(
    ("dialect", "samples"),
    [
        (OpenAI(), [case["body"] for case in golden("requests")]),
        (Anthropic(), [*test_anthropic.GOLDEN, test_anthropic.REPLY]),
        (Gemini(), [*test_gemini.GOLDEN, test_gemini.REPLY]),
        (Responses(), [*test_requests.GOLDEN, test_replies.REPLY]),
    ],
    ids=["openai", "anthropic", "gemini", "responses"],
)
@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_a_request_or_reply_with_anything_in_any_place_is_read_or_refused(
    dialect: Dialect, samples: list[dict[str, Any]], data: st.DataObject
) -> None:
    body = copy.deepcopy(data.draw(st.sampled_from(samples)))
    container, key = data.draw(st.sampled_from(places(body)))
    container[key] = data.draw(ODD)
    request = dialect.parse_request(copy.deepcopy(samples[0]), model="m")

    def judged() -> None:
        """As a door does with a request that it could read."""
        asked = dialect.parse_request(body, model="m")
        dialect.unpriced(body)
        dialect.untranslatable(asked)
        dialect.amended(body, replace(asked, model="other", max_tokens=7))

    readers: list[Callable[[], Any]] = [
        judged,
        lambda: dialect.amended(body, request),
        lambda: dialect.render_request(dialect.parse_request(body, model="m")),
        lambda: dialect.render_reply(dialect.parse_reply(body)),
    ]
    for read in readers:
        with suppress(ValueError):
            read()


@pytest.mark.parametrize(
    ("dialect", "stream"),
    [
        (Anthropic(), test_anthropic.STREAM),
        (Gemini(), test_gemini.STREAM),
        (Responses(), test_streams.written(test_streams.EVENTS)),
    ],
    ids=["anthropic", "gemini", "responses"],
)
@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_a_stream_with_anything_in_any_place_is_read_or_refused(
    dialect: Dialect, stream: bytes, data: st.DataObject
) -> None:
    lines = stream.replace(b"\r\n", b"\n").split(b"\n")
    number = data.draw(st.sampled_from([n for n, line in enumerate(lines) if line.startswith(b"data: ")]))
    event = orjson.loads(lines[number][6:])
    container, key = data.draw(st.sampled_from(places(event)))
    container[key] = data.draw(ODD)
    lines[number] = b"data: " + orjson.dumps(event)
    with suppress(ValueError):
        dialect.event_parser().feed(b"\n".join(lines))


TEXTS: Any = {"parts": [{"text": "a"}, {"text": "b"}]}
ONCE: list[tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]] = [
    (
        OpenAIEmbeddings(),
        [{"model": "m", "input": ["a", [1, 2]], "dimensions": 3, "encoding_format": "base64", "user": "u"}],
        [
            {
                "data": [{"index": 0, "embedding": [0.5, 1]}],
                "model": "m",
                "usage": {"prompt_tokens": 3, "total_tokens": 3},
            }
        ],
    ),
    (
        GeminiEmbeddings(),
        [{"requests": [{"model": "models/m", "content": TEXTS, "outputDimensionality": 3, "taskType": "X"}]}],
        [
            {"embeddings": [{"values": [0.5, 1]}], "usageMetadata": {"promptTokenCount": 3}},
            {"embedding": {"values": [1]}},
        ],
    ),
    (AnthropicCount(), test_anthropic.GOLDEN, [{"input_tokens": 3}]),
    (ResponsesCount(), test_requests.GOLDEN, [{"object": "response.input_tokens", "input_tokens": 3}]),
    (
        GeminiCount(),
        [*test_gemini.GOLDEN, *({"generateContentRequest": body} for body in test_gemini.GOLDEN)],
        [{"totalTokens": 3}],
    ),
]


@pytest.mark.parametrize(("dialect", "asked", "answers"), ONCE, ids=[type(each[0]).__name__ for each in ONCE])
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_what_is_no_chat_is_read_or_refused_with_anything_in_any_place(
    dialect: Any, asked: list[dict[str, Any]], answers: list[dict[str, Any]], data: st.DataObject
) -> None:
    plain = dialect.parse_request(copy.deepcopy(asked[0]), model="m")
    body = copy.deepcopy(data.draw(st.sampled_from([*asked, *answers])))
    container, key = data.draw(st.sampled_from(places(body)))
    container[key] = data.draw(ODD)

    def judged() -> None:
        """As a door does with a request that it could read."""
        request = dialect.parse_request(body, model="m")
        dialect.unpriced(body)
        dialect.untranslatable(request)
        dialect.amended(body, request)
        dialect.path(request)
        dialect.render_request(request)

    readers: list[Callable[[], Any]] = [
        judged,
        lambda: dialect.amended(body, plain),
        lambda: dialect.render_reply(dialect.parse_reply(body), plain),
    ]
    for read in readers:
        with suppress(ValueError):
            read()
