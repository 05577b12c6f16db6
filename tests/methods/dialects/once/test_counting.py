"""Counts of tokens at the three vendors that count: each request as its vendor wants it, and each to the others."""

from dataclasses import replace
from typing import Any

import pytest

from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Dialect, Untranslatable
from methods.dialects.canonical_once import CountReply, CountRequest
from methods.dialects.counting import AnthropicCount, GeminiCount, ResponsesCount
from methods.dialects.gemini import Gemini
from methods.dialects.once import CountDialect
from methods.dialects.responses import Responses
from tests.methods.dialects.test_pairs import ASKED

COUNTS: list[CountDialect] = [AnthropicCount(), GeminiCount(), ResponsesCount()]
ASKED_PLAIN = Responses().parse_request({"model": "m", "input": "Hi"})
CHATS: dict[str, Dialect] = {"anthropic": Anthropic(), "gemini": Gemini(), "responses": Responses()}


@pytest.mark.parametrize("source", COUNTS, ids=lambda count: count.name)
@pytest.mark.parametrize("target", COUNTS, ids=lambda count: count.name)
def test_a_count_of_one_vendor_counts_the_same_conversation_at_another(
    source: CountDialect, target: CountDialect
) -> None:
    plain = replace(ASKED, stop=(), is_stream=False)
    body = CHATS[source.name].render_request(plain)
    request = source.parse_request(body, model="m")
    assert source.untranslatable(request) == []
    counted = target.render_request(request)
    assert counted.keys().isdisjoint({"max_tokens", "stream", "temperature", "store", "metadata", "generationConfig"})
    assert "Weather?" in str(counted)
    assert target.parse_request(counted, model="m").chat.tools == request.chat.tools or source.name != target.name
    reply = target.parse_reply(target.render_reply(CountReply(17), request))
    assert (
        source.render_reply(reply, request)
        == {
            "anthropic": {"input_tokens": 17},
            "gemini": {"totalTokens": 17},
            "responses": {"object": "response.input_tokens", "input_tokens": 17},
        }[source.name]
    )


def test_the_paths_are_the_vendors() -> None:
    requests = [
        count.parse_request({**CHATS[count.name].render_request(ASKED_PLAIN), "model": "m"}) for count in COUNTS
    ]
    assert [count.path(request) for count, request in zip(COUNTS, requests, strict=True)] == [
        "/v1/messages/count_tokens",
        "/v1/models/m:countTokens",
        "/responses/input_tokens",
    ]


def test_a_setting_that_the_vendor_would_refuse_does_not_hinder_a_count() -> None:
    hot = Responses().parse_request({"model": "m", "input": "Hi", "temperature": 1.9, "stream": True})
    assert AnthropicCount().render_request(CountRequest(hot)) == {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_newest_version_of_anthropic_refuses_sampling_also_in_a_count(name: str) -> None:
    body: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], name: 1}
    assert AnthropicCount().parse_request(body).model == "m"
    with pytest.raises(Untranslatable) as refused:
        AnthropicCount(api_version="2026-10-21").parse_request(body)
    assert refused.value.field == name


def test_gemini_counts_contents_alone_or_a_whole_request() -> None:
    contents: Any = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    alone = GeminiCount().parse_request(contents, model="m")
    assert GeminiCount().render_request(alone) == contents
    assert GeminiCount().amended(contents, alone) is contents
    whole: Any = {
        "generateContentRequest": {"model": "models/m", **contents, "systemInstruction": {"parts": [{"text": "s"}]}}
    }
    request = GeminiCount().parse_request(whole, model="other")
    assert [text.text for text in request.chat.system] == ["s"]
    changed = GeminiCount().amended(whole, request)
    assert changed == {"generateContentRequest": {**whole["generateContentRequest"], "model": "models/other"}}
    assert GeminiCount().render_request(request) == changed


@pytest.mark.parametrize("count", COUNTS, ids=lambda count: count.name)
def test_a_reply_without_a_count_is_none(count: CountDialect) -> None:
    bodies: list[Any] = [{}, {"input_tokens": -1, "totalTokens": "x"}]
    for body in bodies:
        with pytest.raises(ValueError, match="the reply has no"):
            count.parse_reply(body)


def test_what_lies_at_the_vendor_is_not_counted_either() -> None:
    assert ResponsesCount().unpriced({"input": "Hi", "previous_response_id": "resp_1"}) == ["previous_response_id"]
    whole: Any = {"generateContentRequest": {"contents": [], "cachedContent": "cachedContents/1"}}
    assert GeminiCount().unpriced(whole) == ["cachedContent"]
    file: Any = [{"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "f"}}]}]
    assert AnthropicCount().unpriced({"messages": file}) == ["messages[0].content[0]"]
    assert [count.unpriced({"model": "m", "input": "Hi"}) for count in COUNTS] == [[], [], []]


def test_the_words_of_one_vendor_mean_nothing_in_the_count_of_another() -> None:
    hidden: Any = {
        "messages": [],
        "thread": {"type": "continue"},
        "generate_content_request": {},
        "topP": 1,
        "top_p": 1,
    }
    assert AnthropicCount().unpriced(hidden) == ["thread"]
    asked: Any = {"input": "Hi", "conversation": "conv_1", "generateContentRequest": {}, "topP": 1, "top_p": 1}
    assert ResponsesCount().unpriced(asked) == ["conversation"]


def test_a_body_changes_only_in_its_model() -> None:
    body: Any = {"model": "alias", "messages": [{"role": "user", "content": "Hi"}], "x": 1}
    request = AnthropicCount().parse_request(body)
    assert AnthropicCount().amended(body, request) is body
    assert AnthropicCount().amended({**body, "model": "other"}, request) == body
    said: Any = {"model": "alias", "input": "Hi"}
    assert ResponsesCount().amended({**said, "model": "other"}, ResponsesCount().parse_request(said)) == said
