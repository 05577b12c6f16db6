"""Requests of the Responses API: what is read of them, what a vendor of the same dialect is told, what is refused by name."""

from typing import Any

import pytest

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import (
    ChatRequest,
    Image,
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
from methods.dialects.openai import OpenAI
from methods.dialects.responses import HARMLESS_EXTRA, PRICED_EXTRA, UNTRANSLATABLE_EXTRA, Responses

SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "name": "weather", "description": "Tells it", "parameters": SCHEMA, "strict": True}
CALL: Any = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"city":"Bonn"}'}
CONVERSATION: list[Any] = [
    {"role": "developer", "content": "Speak German."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "Weather?"},
            {"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,AAAA"},
        ],
    },
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Look it up."}],
        "encrypted_content": "SEAL",
    },
    CALL,
    {**CALL, "id": "fc_2", "call_id": "c2"},
    {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "sun"}]},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Regen.", "annotations": []}],
    },
    {"role": "user", "content": "And tomorrow?"},
]
GOLDEN: list[dict[str, Any]] = [
    {"model": "m", "input": "Hi"},
    {"model": "m", "input": [{"role": "user", "content": "Hi"}], "stream": True},
    {
        "model": "m",
        "instructions": "Be brief.",
        "input": CONVERSATION,
        "max_output_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": False,
        "text": {
            "format": {"type": "json_schema", "name": "reply", "schema": SCHEMA, "strict": True},
            "verbosity": "low",
        },
        "reasoning": {"effort": "high", "summary": "auto"},
        "metadata": {"a": "b"},
        "user": "u1",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "a_member_of_tomorrow": {"x": 1},
    },
    {"model": "m", "input": "Hi", "reasoning": {"effort": "none"}, "text": {"format": {"type": "json_object"}}},
    {"model": "m", "input": [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Now be rude."}]},
    {
        "model": "m",
        "input": [
            {"role": "user", "content": [{"type": "input_file", "file_data": "data:;base64,AA", "filename": "f"}]}
        ],
    },
    {
        "model": "m",
        "input": [{"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "i"}],
        "tools": [{"type": "custom", "name": "n"}],
    },
]


@pytest.mark.parametrize("body", GOLDEN)
def test_a_request_reaches_a_vendor_of_the_same_dialect_as_it_was(body: dict[str, Any]) -> None:
    request = Responses().parse_request(body)
    assert Responses().amended(body, request) is body
    if body is not GOLDEN[2]:  # it has ids, which only the client's own body keeps
        assert Responses().render_request(request) == body


def test_a_request_that_is_written_anew_says_all_but_ids_and_marks() -> None:
    body: Any = Responses().render_request(Responses().parse_request(GOLDEN[2]))
    assert {**body, "input": GOLDEN[2]["input"]} == GOLDEN[2]
    assert Responses().parse_request(body) == Responses().parse_request(GOLDEN[2])


def test_everything_that_a_request_says_is_read() -> None:
    request = Responses().parse_request(GOLDEN[2])
    assert [text.text for text in request.system] == ["Be brief.", "Speak German."]
    user, asked, answered, said, last = request.messages
    assert (user.role, asked.role, answered.role, said.role, last.role) == (
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    )
    assert user.parts == (Text("Weather?"), Image("image/png", data="AAAA", extra={"detail": "low"}))
    assert asked.parts == (
        Reasoning("Look it up.", "SEAL"),
        ToolCall("c1", "weather", '{"city":"Bonn"}'),
        ToolCall("c2", "weather", '{"city":"Bonn"}'),
    )
    assert answered.parts == (ToolResult("c1", (Text("rain"),)), ToolResult("c2", (Text("sun"),)))
    assert [part.text for part in said.parts if isinstance(part, Text)] == ["Regen."]
    assert (request.max_tokens, request.temperature, request.top_p, request.user) == (50, 0.5, 0.9, "u1")
    assert request.tools == (Tool("weather", "Tells it", SCHEMA, {"strict": True}, is_strict=True),)
    assert (request.tool_choice, request.is_parallel_tools) == (ToolChoice("named", "weather"), False)
    assert request.response_format == ResponseFormat("json_schema", SCHEMA, "reply", is_strict=True)
    assert request.reasoning == ReasoningSettings(effort="high")


def test_calls_of_one_turn_and_their_answers_reach_chat_completions_as_that_vendor_wants_them() -> None:
    body: Any = {"model": "m", "input": CONVERSATION, "tools": [WEATHER]}
    messages: Any = OpenAI().render_request(Responses().parse_request(body))["messages"]
    assert [message["role"] for message in messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
    ]
    assert [call["id"] for call in messages[2]["tool_calls"]] == ["c1", "c2"]
    assert [message["tool_call_id"] for message in messages[3:5]] == ["c1", "c2"]


def test_a_later_instruction_is_a_turn_that_keeps_its_role() -> None:
    request = Responses().parse_request(GOLDEN[4])
    assert request.messages[1] == Message("user", (Text("Now be rude."),), {"role": "system"})


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (GOLDEN[0], []),
        (GOLDEN[2], ["a_member_of_tomorrow", "text.verbosity"]),
        (GOLDEN[5], ["input[0].content[0]"]),
        (GOLDEN[6], ["tools[0]", "input[0]"]),
        (
            {"model": "m", "input": "Hi", "top_logprobs": 0, "truncation": "disabled", "text": {"verbosity": "medium"}},
            [],
        ),
        (
            {"model": "m", "input": "Hi", "truncation": "auto", "include": ["message.output_text.logprobs"]},
            ["truncation", "include"],
        ),
        (
            {
                "model": "m",
                "input": [
                    {"role": "system", "content": "a"},
                    {"role": "user", "content": "b"},
                    {"type": "program", "id": "p"},
                ],
            },
            ["input[2]"],
        ),
        (
            {"model": "m", "input": "Hi", "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}},
            ["tool_choice"],
        ),
    ],
)
def test_what_no_other_dialect_can_be_told_is_named_by_its_path(body: dict[str, Any], fields: list[str]) -> None:
    assert Responses().untranslatable(Responses().parse_request(body)) == fields


def test_a_request_of_another_dialect_has_nothing_of_this_one() -> None:
    assert Responses().untranslatable(ChatRequest("m", (), dialect="openai", extra={"truncation": "auto"})) == []


@pytest.mark.parametrize(
    ("members", "fields"),
    [
        ({}, []),
        (
            {
                "background": False,
                "service_tier": "auto",
                "previous_response_id": None,
                "tools": [WEATHER, {"type": "custom"}],
            },
            [],
        ),
        ({"background": True, "service_tier": "flex"}, ["background", "service_tier"]),
        (
            {"previous_response_id": "resp_1", "conversation": "c", "prompt": {"id": "p"}},
            ["conversation", "previous_response_id", "prompt"],
        ),
        ({"tools": [WEATHER, {"type": "web_search"}, {"type": "image_generation"}]}, ["tools[1]", "tools[2]"]),
        ({"context_management": [{"type": "compaction"}]}, ["context_management"]),
        ({"reasoning": {"mode": "pro"}}, ["reasoning.mode"]),
        ({"prompt_cache_options": {"ttl": "12h"}}, ["prompt_cache_options"]),
        ({"prompt_cache_options": {"ttl": "30m", "prewarm": True}}, ["prompt_cache_options"]),
        ({"tools": [{"type": "apply_patch"}, {"type": "local_shell"}, {"type": "shell"}]}, ["tools[2]"]),
        (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "input_text",
                                "text": "a",
                                "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
                            }
                        ],
                    }
                ]
            },
            ["input[0].content[0]"],
        ),
        (
            {
                "input": [
                    {"type": "item_reference", "id": "x"},
                    {"role": "user", "content": [{"type": "input_file", "file_data": "f"}]},
                    {"role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
                    {
                        "type": "function_call_output",
                        "call_id": "c",
                        "output": [{"type": "input_file", "file_url": "u"}],
                    },
                ]
            },
            ["input[0]", "input[1].content[0]", "input[2].content[0]", "input[3].output[0]"],
        ),
    ],
)
def test_what_no_price_of_ours_knows_is_named(members: dict[str, Any], fields: list[str]) -> None:
    assert Responses().unpriced({"model": "m", "input": CONVERSATION, **members}) == fields


def test_members_that_are_priced_are_known_members() -> None:
    assert PRICED_EXTRA.keys() <= HARMLESS_EXTRA | UNTRANSLATABLE_EXTRA


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"role": "robot", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"content": "Hi"}]}, "input[0].type"),
        ({"input": [{"type": "function_call", "name": "n", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"model": ""}, "model"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tools": [{"name": "n"}]}, "tools[0].type"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"instructions": 3}, "instructions"),
    ],
)
def test_a_malformed_member_is_refused_by_its_name(members: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        Responses().parse_request({"model": "m", "input": "Hi", **members})
    assert refused.value.field == field


def test_a_clients_own_body_changes_only_where_the_request_does() -> None:
    dialect = Responses()
    body: Any = {"model": "alias", "input": "Hi", "stream": True, "x": [1]}
    request = dialect.parse_request(body)
    assert dialect.amended(body, request) is body
    changed = ChatRequest("real", request.messages, max_tokens=7, is_stream=True, dialect=request.dialect)
    assert dialect.amended(body, changed) == {**body, "model": "real", "max_output_tokens": 7}
    assert list(dialect.amended(body, changed)) == ["model", "input", "stream", "x", "max_output_tokens"]
    whole = ChatRequest("alias", request.messages, dialect=request.dialect)
    options: Any = {**body, "stream_options": {"include_obfuscation": False}}
    assert dialect.amended(options, whole) == {"model": "alias", "input": "Hi", "stream": False, "x": [1]}


def test_another_dialects_request_asks_the_vendor_to_keep_nothing() -> None:
    asked = ChatRequest(
        "m", (Message("user", (Text("Hi"),)),), system=(Text("a"), Text("b")), tools=(Tool("t", None, {}),)
    )
    assert Responses().render_request(asked) == {
        "model": "m",
        "instructions": "a\n\nb",
        "input": [{"role": "user", "content": "Hi"}],
        "tools": [
            {"type": "function", "name": "t", "parameters": {"type": "object", "properties": {}}, "strict": False}
        ],
        "store": False,
    }


@pytest.mark.parametrize(("members", "field"), [({"top_k": 3}, "top_k"), ({"stop": ("END",)}, "stop")])
def test_what_the_dialect_has_no_word_for_is_refused_by_name(members: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        Responses().render_request(ChatRequest("m", (Message("user", (Text("Hi"),)),), **members))
    assert refused.value.field == field
