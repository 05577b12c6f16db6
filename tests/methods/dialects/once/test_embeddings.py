"""Embeddings of both vendors that make them: requests, replies, encodings, and each to the other."""

from array import array
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from methods.dialects.base import Untranslatable
from methods.dialects.canonical_once import EmbedReply, EmbedRequest
from methods.dialects.gemini_embeddings import GeminiEmbeddings
from methods.dialects.once import EmbedDialect
from methods.dialects.openai_embeddings import OpenAIEmbeddings
from methods.dialects.vectors import to_base64, to_numbers
from storage.records.usage import Usage

OPENAI: EmbedDialect = OpenAIEmbeddings()
GEMINI: EmbedDialect = GeminiEmbeddings()
ONE = b64encode(b"\x00\x00\x80\x3f\x00\x00\x00\xc0").decode()
"""1.0 and -2.0 as little-endian float32."""


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"model": "models/m", "content": {"parts": [{"text": words}]}, **more}


@pytest.mark.parametrize(
    ("given_", "inputs"),
    [
        ("Hi", ("Hi",)),
        (["a", "b"], ("a", "b")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_an_input_is_a_text_or_tokens_or_a_list_of_either(given_: Any, inputs: Any) -> None:
    assert OPENAI.parse_request({"model": "m", "input": given_}).inputs == inputs


def test_all_members_of_openai_are_read_and_unknown_ones_travel_on() -> None:
    body: Any = {
        "model": "m",
        "input": ["a"],
        "dimensions": 8,
        "encoding_format": "base64",
        "user": "u",
        "input_type": "query",
    }
    request = OPENAI.parse_request(body)
    assert request == EmbedRequest("m", ("a",), 8, "base64", user="u", dialect="openai", extra={"input_type": "query"})
    assert OPENAI.render_request(request) == body
    assert OPENAI.untranslatable(request) == ["input_type"]
    assert (OPENAI.path(request), OPENAI.unpriced(body)) == ("/embeddings", [])
    assert OPENAI.amended(body, request) is body
    assert OPENAI.amended({**body, "model": "alias"}, request) == body


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", []]}, "input[1]"),
        ({"input": [{}]}, "input[0]"),
        ({"input": [-1]}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"model": None}, "model"),
    ],
)
def test_a_malformed_member_of_openai_is_refused_by_its_name(members: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        OPENAI.parse_request({"model": "m", "input": "Hi", **members})
    assert refused.value.field == field


def test_a_reply_is_read_in_the_order_of_its_indexes_and_written_as_it_was_asked_for() -> None:
    body: Any = {
        "object": "list",
        "model": "m",
        "data": [{"object": "embedding", "index": 1, "embedding": ONE}, {"index": 0, "embedding": [0.5, 1]}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    reply = OPENAI.parse_reply(body)
    assert reply == EmbedReply("m", ([0.5, 1], ONE), Usage(input=5))
    written: Any = OPENAI.render_reply(reply, EmbedRequest("m", (), encoding="float"))
    assert [item["embedding"] for item in written["data"]] == [[0.5, 1], [1.0, -2.0]]
    assert [item["index"] for item in written["data"]] == [0, 1]
    assert written["usage"] == body["usage"]
    sealed: Any = OPENAI.render_reply(reply, EmbedRequest("m", (), encoding="base64"))
    assert [item["embedding"] for item in sealed["data"]] == [to_base64([0.5, 1]), ONE]


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"total_tokens": 9}, 9),
        ({"prompt_tokens": None, "total_tokens": 9}, 9),
        ({"prompt_tokens": 4, "total_tokens": 9}, 4),
        ({"completion_tokens": 0}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_total_alone_is_all_prompt_and_what_is_not_told_is_unknown(usage: Any, tokens: int | None) -> None:
    told = OPENAI.parse_reply({"data": [{"embedding": [1]}], "usage": usage}).usage
    assert (None if told is None else told.tokens_input) == tokens


@pytest.mark.parametrize(
    "body", [{}, {"data": 1}, {"data": [1]}, {"data": [{"embedding": None}]}, {"data": [{"embedding": ["x"]}]}]
)
def test_what_is_no_reply_of_openai_is_none(body: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the protocol promises no more
        OPENAI.parse_reply(body)


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_numbers_survive_the_base64_that_the_vendors_sdk_decodes(numbers: list[float]) -> None:
    sealed = to_base64(numbers)
    assert array("f", b64decode(sealed)).tolist() == numbers
    assert to_numbers(sealed) == numbers


@pytest.mark.parametrize("sealed", ["no base64!", "AAA=", "AAAAAAA="])
def test_base64_that_holds_no_numbers_is_refused(sealed: str) -> None:
    with pytest.raises(ValueError, match="an embedding"):
        to_numbers(sealed)


def test_a_batch_of_gemini_is_read_and_written() -> None:
    body: Any = {
        "requests": [text("a", outputDimensionality=8), text("b", outputDimensionality=8, taskType="RETRIEVAL_QUERY")]
    }
    request = GEMINI.parse_request(body, model="m")
    assert (request.inputs, request.dimensions, request.is_single) == (("a", "b"), 8, False)
    assert GEMINI.render_request(request) == body
    assert GEMINI.untranslatable(request) == ["requests.taskType"]
    assert GEMINI.path(request) == "/v1/models/m:batchEmbedContents"
    assert GEMINI.amended(body, request) is body
    other = GEMINI.parse_request(body, model="other")
    assert {item["model"] for item in GEMINI.amended(body, other)["requests"]} == {"models/other"}  # type: ignore[union-attr, index, call-overload]  # foreign JSON


def test_a_single_content_of_gemini_is_read_and_written() -> None:
    body: Any = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "output_dimensionality": 3, "title": "T"}
    request = GEMINI.parse_request(body, model="models/m", is_single=True)
    assert request == EmbedRequest(
        "m", ("ab",), 3, is_single=True, dialect="gemini", extra={"requests": [{"title": "T"}]}
    )
    assert GEMINI.path(request) == "/v1/models/m:embedContent"
    assert GEMINI.untranslatable(request) == ["title"]
    assert GEMINI.amended(body, request) is body
    reply = EmbedReply("m", ([1.0],), Usage(input=2))
    assert GEMINI.render_reply(reply, request) == {
        "embedding": {"values": [1.0]},
        "usageMetadata": {"promptTokenCount": 2, "totalTokenCount": 2},
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": [1]}, "requests[0]"),
        ({"requests": [{"content": {}}]}, "requests[0].content.parts"),
        ({"requests": [{"content": {"parts": [{"inlineData": {}}]}}]}, "requests[0].content.parts[0]"),
        ({"requests": [text("")]}, "requests[0].content.parts"),
        ({"requests": [text("a", outputDimensionality=1), text("b")]}, "requests.outputDimensionality"),
    ],
)
def test_a_malformed_request_of_gemini_is_refused_by_its_path(body: Any, field: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        GEMINI.parse_request(body, model="m")
    assert refused.value.field == field


def test_parts_that_are_no_text_have_a_price_of_their_own() -> None:
    body: Any = {"requests": [text("a"), {"content": {"parts": [{"text": "b"}, {"inlineData": {}}]}}]}
    assert GEMINI.unpriced(body) == ["requests[1].content.parts[1]"]
    assert GEMINI.unpriced({"content": {"parts": [{"fileData": {}}]}}) == ["content.parts[0]"]


@pytest.mark.parametrize("body", [{}, {"embeddings": {}}, {"embeddings": [{}]}, {"embedding": None}])
def test_what_is_no_reply_of_gemini_is_none(body: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the protocol promises no more
        GEMINI.parse_reply(body)


def test_an_openai_client_is_answered_by_gemini() -> None:
    asked = OPENAI.parse_request(
        {"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 2, "user": "u"}
    )
    assert OPENAI.untranslatable(asked) == []
    assert GEMINI.render_request(asked) == {
        "requests": [text("a", outputDimensionality=2), text("b", outputDimensionality=2)]
    }
    reply = GEMINI.parse_reply(
        {"embeddings": [{"values": [1, -2]}, {"values": [1.0, -2.0]}], "usageMetadata": {"promptTokenCount": 3}}
    )
    written: Any = OPENAI.render_reply(reply, asked)
    assert [item["embedding"] for item in written["data"]] == [ONE, ONE]
    assert written["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert written["model"] == "m"


def test_a_gemini_client_is_answered_by_openai() -> None:
    asked = GEMINI.parse_request({"requests": [text("a", outputDimensionality=2)]}, model="m")
    assert GEMINI.untranslatable(asked) == []
    assert OPENAI.render_request(asked) == {"model": "m", "input": ["a"], "encoding_format": "float", "dimensions": 2}
    reply = OPENAI.parse_reply({"data": [{"embedding": ONE, "index": 0}]})
    assert GEMINI.render_reply(reply, asked) == {"embeddings": [{"values": [1.0, -2.0]}]}


def test_tokens_cannot_be_told_to_gemini() -> None:
    asked = OPENAI.parse_request({"model": "m", "input": [[1], [2]]})
    with pytest.raises(Untranslatable, match=r"input\[0\]"):
        GEMINI.render_request(asked)
