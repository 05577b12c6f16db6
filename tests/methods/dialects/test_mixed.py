"""Conversations that several vendors have answered: what one left does not keep the client's own vendor from going on."""

from dataclasses import replace
from typing import Any

import pytest

from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Dialect
from methods.dialects.canonical import (
    ChatReply,
    ChatRequest,
    Finished,
    Reasoning,
    ReasoningDelta,
    Text,
    ToolCall,
    ToolCallDelta,
)
from methods.dialects.counting import AnthropicCount, ResponsesCount
from methods.dialects.gemini import Gemini
from methods.dialects.openai import OpenAI
from methods.dialects.responses import Responses
from storage.records.usage import Usage

ANSWER = ChatReply(
    "m", (Reasoning("Hm."), Text("a"), ToolCall("c1", "f", "{}", "U0VBTA==")), "tool_calls", Usage(), dialect="gemini"
)


def amended(dialect: Dialect, body: dict[str, Any]) -> dict[str, Any]:
    """A client's body as its own vendor gets it."""
    request = dialect.parse_request(body, model="m")
    changed = dialect.amended(body, replace(request, max_tokens=body.get("max_tokens")))
    assert dialect.amended(changed, replace(request, max_tokens=body.get("max_tokens"))) is changed
    return changed


def test_thinking_that_nobody_signed_does_not_go_to_anthropic() -> None:
    answered: Any = Anthropic().render_reply(ANSWER)["content"]
    assert [block["type"] for block in answered] == ["thinking", "text", "tool_use"]
    signed = {"type": "thinking", "thinking": "Own.", "signature": "S"}
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": answered},
            {"role": "assistant", "content": [signed, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "alone", "signature": ""}]},
        ],
    }
    sent = amended(Anthropic(), body)
    assert sent == {
        **body,
        "messages": [body["messages"][0], {"role": "assistant", "content": answered[1:]}, *body["messages"][2:]],
    }
    counted = AnthropicCount().amended(body, AnthropicCount().parse_request(body))
    assert counted["messages"] == sent["messages"]


def test_thinking_that_was_made_here_does_not_go_to_openais_responses() -> None:
    output: Any = Responses().render_reply(replace(ANSWER, id="resp_1"))["output"]
    own = {"type": "reasoning", "id": "rs_0", "summary": [], "encrypted_content": "S"}
    body: dict[str, Any] = {"model": "m", "input": [{"role": "user", "content": "Hi"}, *output, own]}
    sent = amended(Responses(), body)
    assert [item.get("type") for item in sent["input"]] == [None, "message", "function_call", "reasoning"]
    assert sent["input"][-1] == own
    assert ResponsesCount().amended(body, ResponsesCount().parse_request(body)) == sent
    writer = Responses().event_renderer(ChatRequest("m", ()), created=1, reply_id="resp_1")
    wire = writer.render(ReasoningDelta("Hm.")) + writer.render(Finished("stop")) + writer.close()
    assert b'"id":"rs_tollgate_1_0"' in wire


def test_geminis_seal_comes_home_from_a_client_of_chat_completions() -> None:
    message: Any = OpenAI().render_reply(ANSWER)["choices"][0]["message"]  # type: ignore[index, call-overload]  # foreign JSON
    request = OpenAI().parse_request({"model": "m", "messages": [{"role": "user", "content": "Hi"}, message]})
    turn: Any = Gemini().render_request(request)["contents"][1]  # type: ignore[index]  # foreign JSON
    assert [part.get("thoughtSignature") for part in turn["parts"]] == [None, "U0VBTA=="]


@pytest.mark.parametrize("knows_seals", [True, False])
def test_geminis_seals_go_only_to_a_vendor_that_may_be_gemini(knows_seals: bool) -> None:  # noqa: FBT001  # a parameter
    message: Any = OpenAI().render_reply(ANSWER)["choices"][0]["message"]  # type: ignore[index, call-overload]  # foreign JSON
    assert "extra_content" in message["tool_calls"][0]
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}, message]}
    sent = amended(OpenAI(knows_seals=knows_seals), body)
    assert ("extra_content" in sent["messages"][1]["tool_calls"][0]) is knows_seals
    assert (sent is body) is knows_seals


def test_a_call_of_another_vendor_comes_back_to_gemini_as_one_that_it_takes() -> None:
    foreign = replace(ANSWER, parts=(ToolCall("c1", "f", "{}"),), dialect="openai")
    body: Any = Gemini().render_reply(foreign)
    [part] = body["candidates"][0]["content"]["parts"]
    assert part["thoughtSignature"] == "skip_thought_signature_validator"
    asked: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [part]}]
    }
    request = Gemini().parse_request(asked, model="m")
    assert request.messages[1].parts == (ToolCall("c1", "f", "{}"),)
    assert Gemini().render_request(request) == asked
    assert Gemini().untranslatable(request) == []
    writer = Gemini().event_renderer(ChatRequest("m", ()), created=1, reply_id="r")
    wire = writer.render(ToolCallDelta(0, "c1", "f", "{}")) + writer.render(Finished("tool_calls")) + writer.close()
    assert b'"thoughtSignature":"skip_thought_signature_validator"' in wire
