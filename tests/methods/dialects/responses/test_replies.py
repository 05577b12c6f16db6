"""Replies of the Responses API, both ways; what is written is valid by the vendor's own types."""

from typing import Any

import pytest

from methods.dialects.canonical import ChatReply, Image, Reasoning, Text, ToolCall
from methods.dialects.responses import Responses
from storage.records.usage import Usage
from tests.methods.dialects.responses.test_requests import GOLDEN

REPLY: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "status": "completed",
    "model": "gpt-5.6",
    "output": [
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "S",
        },
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hé 🎉", "annotations": [], "logprobs": []}],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "status": "completed",
            "call_id": "c1",
            "name": "weather",
            "arguments": "{}",
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 15,
        "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 25,
    },
}


def test_a_reply_is_read_with_thinking_text_calls_and_usage() -> None:
    reply = Responses().parse_reply(REPLY)
    assert reply.parts == (Reasoning("Hm.", "S"), Text("Hé 🎉"), ToolCall("c1", "weather", "{}"))
    assert reply.usage == Usage(input=8, cache_read=5, cache_write_5m=2, output=7, reasoning=3)
    assert (reply.id, reply.model, reply.finish_reason) == ("resp_1", "gpt-5.6", "tool_calls")


def test_a_reply_comes_out_as_it_went_in() -> None:
    assert Responses().render_reply(Responses().parse_reply(REPLY)) == {
        "background": False,
        "error": None,
        "incomplete_details": None,
        **REPLY,
    }


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"output": []}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "other"),
        ({"status": "failed", "error": {"code": "server_error", "message": "no"}}, "error"),
        ({"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]}, "content_filter"),
    ],
)
def test_an_ending_is_read_and_stays_as_the_vendor_said_it(members: dict[str, Any], reason: str) -> None:
    reply = Responses().parse_reply({**REPLY, **members})
    assert reply.finish_reason == reason
    rendered = Responses().render_reply(reply)
    assert {name: rendered[name] for name in members} == members


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output": {}},
        {"output": [], "status": "in_progress"},
    ],
)
def test_what_is_no_reply_is_no_reply(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the protocol promises no more
        Responses().parse_reply(body)


def test_items_of_the_vendors_own_tools_stay_and_images_are_parts() -> None:
    items: Any = [
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "image_generation_call", "id": "ig", "result": "AAAA"},
    ]
    reply = Responses().parse_reply({**REPLY, "output": items})
    assert reply.parts == (Image("image/png", data="AAAA"),)
    assert Responses().render_reply(reply)["output"] == items


FOREIGN = ChatReply(
    model="claude",
    parts=(
        Reasoning("Hm.", "SEAL"),
        Text("a"),
        Text("b"),
        ToolCall("c1", "weather", "{}"),
        Image("image/png", data="AA"),
    ),
    finish_reason="tool_calls",
    usage=Usage(input=1, cache_read=2, cache_write_1h=3, output=4, reasoning=5),
    id="msg_9",
    dialect="anthropic",
    extra={"content": [{"type": "thinking"}]},
)


def test_another_vendors_reply_has_all_that_the_vendors_sdk_needs() -> None:
    from openai.types.responses import Response  # noqa: PLC0415  # heavy

    request = Responses().parse_request(GOLDEN[2])
    body = Responses().render_reply(FOREIGN, request)
    assert Response.model_validate(body, strict=True).output_text == "ab"
    assert body["output"] == [
        {
            "id": "rs_tollgate_msg_9_0",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "SEAL",
        },
        {
            "id": "msg_msg_9_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                {"type": "output_text", "text": "b", "annotations": [], "logprobs": []},
            ],
        },
        {
            "id": "fc_msg_9_2",
            "type": "function_call",
            "status": "completed",
            "call_id": "c1",
            "name": "weather",
            "arguments": "{}",
        },
        {"id": "ig_msg_9_3", "type": "image_generation_call", "status": "completed", "result": "AA"},
    ]
    assert body["usage"] == {
        "input_tokens": 6,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 15,
    }
    echoed = (
        "instructions",
        "max_output_tokens",
        "temperature",
        "tool_choice",
        "tools",
        "metadata",
        "parallel_tool_calls",
    )
    assert {name: body[name] for name in echoed} == {name: GOLDEN[2][name] for name in echoed}


def test_a_refusal_in_the_models_own_words_is_a_whole_answer() -> None:
    said = ChatReply("m", (Text("No.", {"type": "refusal"}),), "content_filter", None, dialect="openai")
    body: Any = Responses().render_reply(said)
    assert (body["status"], body["incomplete_details"]) == ("completed", None)
    assert body["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("other", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
        ("error", "failed", None),
    ],
)
def test_another_vendors_ending_is_told_in_this_dialects_words(reason: Any, status: str, why: Any) -> None:
    body = Responses().render_reply(ChatReply("m", (Text("a"),), reason, None))
    assert (body["status"], body["incomplete_details"], body["usage"]) == (status, why, None)
    assert (body["tools"], body["tool_choice"], body["parallel_tool_calls"]) == ([], "auto", True)
    assert bool(body["error"]) is (reason == "error")
