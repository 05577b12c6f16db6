"""Requests of this vendor's clients reach the vendor as they were meant, and other vendors only where nothing is lost."""

from typing import Any

import pytest

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    ChatRequest,
    Image,
    Json,
    Message,
    Reasoning,
    ReasoningSettings,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from methods.dialects.openai import HARMLESS_EXTRA, PRICED_EXTRA, UNTRANSLATABLE_EXTRA, OpenAI, untranslatable_fields
from tests.methods.dialects.openai.wire import golden

HELLO: list[Json] = [{"role": "user", "content": "Hi"}]


def from_elsewhere(**members: Any) -> ChatRequest:
    return ChatRequest(
        **{"model": "m", "messages": (Message("user", (Text("Hi"),)),), "dialect": "anthropic", **members}
    )


@pytest.mark.parametrize("case", golden("requests"), ids=lambda case: case["name"])
def test_a_request_of_this_dialect_goes_upstream_as_the_client_sent_it(case: Any) -> None:
    request = OpenAI().parse_request(case["body"])
    assert OpenAI().render_request(request) == case.get("sent", case["body"])


@pytest.mark.parametrize("case", golden("requests"), ids=lambda case: case["name"])
def test_what_was_sent_reads_as_the_same_request_again(case: Any) -> None:
    request = OpenAI().parse_request(case.get("sent", case["body"]))
    assert OpenAI().parse_request(OpenAI().render_request(request)) == request


def test_every_member_lands_in_its_canonical_place() -> None:
    case = next(case for case in golden("requests") if case["name"] == "tools and their results")
    request = OpenAI().parse_request(case["body"])
    parameters: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert request == ChatRequest(
        model="gpt-4o",
        messages=(
            Message("user", (Text("Weather?"),)),
            Message(
                "assistant",
                (ToolCall("call_1", "weather", '{"city":"Bonn"}'), ToolCall("call_2", "weather", "not json")),
            ),
            Message("tool", (ToolResult("call_1", (Text("rain"),)),)),
            Message("tool", (ToolResult("call_2", (Text("sun"), Text("wind"))),)),
        ),
        tools=(Tool("weather", "Tells it", parameters, {"strict": True}, is_strict=True), Tool("now", None, {})),
        tool_choice=ToolChoice("auto"),
        is_parallel_tools=True,
        dialect="openai",
    )


def test_data_urls_become_data_and_other_urls_stay_urls() -> None:
    case = next(case for case in golden("requests") if case["name"] == "images and parts")
    assert OpenAI().parse_request(case["body"]).messages == (
        Message(
            "user",
            (
                Text("What?"),
                Image(url="https://example.com/a.png", extra={"detail": "low"}),
                Image(media_type="image/png", data="iVBORw0KGgo="),
            ),
            {"name": "ann"},
        ),
    )


def test_system_messages_lead_and_later_ones_keep_their_place() -> None:
    request = OpenAI().parse_request(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "First"},
                *HELLO,
                {"role": "system", "content": "Late"},
            ],
        }
    )
    assert request.system == (Text("First"),)
    assert request.messages[1] == Message("user", (Text("Late"),), {"role": "system"})


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png,x"}}]}
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "type": "function"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": {}}, "stop"),
        ({"n": 129}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning_effort": 5}, "reasoning_effort"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"user": 5}, "user"),
    ],
)
def test_a_malformed_request_is_refused_by_the_name_of_its_field(members: Any, field: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        OpenAI().parse_request({"model": "m", "messages": HELLO, **members})
    assert refused.value.field == field


def test_the_bound_on_tokens_goes_up_under_the_name_that_the_vendor_knows() -> None:
    older, newer = OpenAI(max_tokens_field="max_tokens"), OpenAI()
    foreign = from_elsewhere(max_tokens=9)
    assert newer.render_request(foreign)["max_completion_tokens"] == 9
    assert older.render_request(foreign)["max_tokens"] == 9
    modern = newer.parse_request({"model": "m", "messages": HELLO, "max_completion_tokens": 9})
    assert older.render_request(modern)["max_tokens"] == 9
    assert "max_completion_tokens" not in older.render_request(modern)


def test_a_request_from_another_dialect_is_sent_without_its_extras() -> None:
    request = from_elsewhere(
        system=(Text("One", extra={"cache_control": {"type": "ephemeral"}}), Text("Two")),
        messages=(
            Message(
                "user",
                (Text("Hi", extra={"cache_control": {}}), Image(url="https://a/b.png", extra={"x": 1})),
                {"y": 1},
            ),
        ),
        tools=(Tool("t", "d", {"type": "object"}, {"cache_control": {}}),),
        tool_choice=ToolChoice("named", "t"),
        response_format=ResponseFormat("json_schema", {"type": "object"}),
        reasoning=ReasoningSettings(budget_tokens=4000),
        user="u",
        extra={"container": "c"},
    )
    assert OpenAI().render_request(request) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Hi"},
                    {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
                ],
            },
        ],
        "tools": [
            {"type": "function", "function": {"name": "t", "description": "d", "parameters": {"type": "object"}}}
        ],
        "tool_choice": {"type": "function", "function": {"name": "t"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": {"type": "object"}}},
        "reasoning_effort": "medium",
        "user": "u",
    }


def test_images_in_tool_results_of_another_dialect_follow_in_a_user_turn_after_all_results() -> None:
    shot = Image(media_type="image/png", data="AAAA")
    request = from_elsewhere(
        messages=(
            Message("assistant", (ToolCall("1", "see", "{}"), ToolCall("2", "see", "{}"))),
            Message("user", (ToolResult("1", (Text("a"), shot)), ToolResult("2", (shot,)), Text("And?"))),
        )
    )
    messages: Any = OpenAI().render_request(request)["messages"]
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user"]
    assert [part["type"] for part in messages[3]["content"]] == ["image_url", "image_url", "text"]
    assert [messages[1]["content"], messages[2]["content"]] == ["a", ""]


def test_thinking_goes_back_only_to_vendors_that_want_it_and_sealed_thinking_never() -> None:
    thoughts = (Reasoning("Hm", "sig"), Reasoning("", "sealed", is_redacted=True), Text("Yes"))
    request = from_elsewhere(messages=(Message("assistant", thoughts),))
    assert OpenAI().render_request(request)["messages"] == [{"role": "assistant", "content": "Yes"}]
    wanted = OpenAI(sends_reasoning=True).render_request(request)["messages"]
    assert wanted == [{"role": "assistant", "content": "Yes", "reasoning_content": "Hm"}]


def test_switching_thinking_off_is_said_only_for_clients_of_this_dialect() -> None:
    assert "reasoning_effort" not in OpenAI().render_request(from_elsewhere(reasoning=ReasoningSettings()))


def test_top_k_of_another_dialect_is_refused_unless_the_vendor_knows_it() -> None:
    with pytest.raises(Untranslatable, match="top_k"):
        OpenAI().render_request(from_elsewhere(top_k=5))
    assert OpenAI(sends_top_k=True).render_request(from_elsewhere(top_k=5))["top_k"] == 5


def test_a_vendor_that_refuses_stream_options_gets_none() -> None:
    assert "stream_options" not in OpenAI(asks_stream_usage=False).render_request(from_elsewhere(is_stream=True))


def test_what_other_vendors_cannot_be_told_is_named() -> None:
    names = {case["name"]: untranslatable_fields(OpenAI().parse_request(case["body"])) for case in golden("requests")}
    assert {name: fields for name, fields in names.items() if fields} == {
        "settings": ["logprobs", "top_logprobs", "frequency_penalty"],
        "sound and files stay as they are": ["modalities", "audio", "messages[0].content", "messages[1].audio"],
        "custom tools stay as they are": ["tool_choice", "tools[0]", "messages[1].tool_calls"],
        "functions by their older words": [
            "functions",
            "function_call",
            "messages[2].function_call",
            "messages[3].role",
        ],
    }
    odd = OpenAI().parse_request({"model": "m", "messages": HELLO, "top_a": 1, "logprobs": False, "store": True})
    assert untranslatable_fields(odd) == ["top_a"]
    assert untranslatable_fields(from_elsewhere(extra={"top_a": 1})) == []


def test_the_lists_of_extras_do_not_contradict_each_other() -> None:
    assert not HARMLESS_EXTRA & UNTRANSLATABLE_EXTRA
    assert PRICED_EXTRA <= HARMLESS_EXTRA | UNTRANSLATABLE_EXTRA


def test_every_parameter_of_the_official_client_is_read_or_listed() -> None:
    from openai.types.chat import completion_create_params as params  # noqa: PLC0415 - heavy, and only this test wants it

    from methods.dialects import openai_request  # noqa: PLC0415 - beside it

    known = params.CompletionCreateParamsBase.__annotations__.keys()
    listed = openai_request._READ | HARMLESS_EXTRA | UNTRANSLATABLE_EXTRA | {"n"}
    assert known - listed == set()


def test_path_and_credential() -> None:
    dialect = OpenAI()
    assert dialect.path(from_elsewhere()) == "/chat/completions"
    assert dialect.headers("sk-1") == {"authorization": "Bearer sk-1"}
    assert dialect.headers("") == {}


@pytest.mark.parametrize(
    ("members", "fields"),
    [
        ({"prompt_cache_options": {"ttl": "30m"}, "prompt_cache_key": "k"}, []),
        ({"prompt_cache_options": {"ttl": "12h"}}, ["prompt_cache_options"]),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
                        ],
                    }
                ]
            },
            ["messages[0].content[0]"],
        ),
    ],
)
def test_a_cache_that_lives_longer_than_the_usual_one_has_no_price(members: Any, fields: list[str]) -> None:
    assert OpenAI().unpriced({"model": "m", "messages": [], **members}) == fields
