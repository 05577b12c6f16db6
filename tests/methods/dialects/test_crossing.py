"""What another vendor cannot be told is refused by the name that it has in the client's own request."""

from typing import Any

import pytest

from methods.dialects.anthropic import Anthropic
from methods.dialects.base import Untranslatable
from methods.dialects.canonical import ChatRequest, Message, ReasoningSettings, Text
from methods.dialects.crossing import crossed
from methods.dialects.tables import dialect_of
from tests.methods.dialects.matrix import HI, PIXEL

PICTURE = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
SHOWN: dict[str, Any] = {"contents": [*HI["gemini"]["contents"], {"role": "model", "parts": [{"text": "a"}, PICTURE]}]}
RESPONSES_CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "["}
OPENAI_CALL = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "["}}]}
TOOLS: dict[str, Any] = {
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
}


@pytest.mark.parametrize(
    ("client", "vendor", "members", "field"),
    [
        ("gemini", "openai", {"generationConfig": {"topK": 3}}, "generationConfig.topK"),
        ("anthropic", "openai", {"top_k": 3}, "top_k"),
        ("anthropic", "responses", {"stop_sequences": ["END"]}, "stop_sequences"),
        ("gemini", "responses", {"generationConfig": {"stopSequences": ["E"]}}, "generationConfig.stopSequences"),
        ("gemini", "anthropic", {"generationConfig": {"temperature": 1.5}}, "generationConfig.temperature"),
        (
            "gemini",
            "anthropic",
            {"generationConfig": {"responseMimeType": "application/json"}},
            "generationConfig.responseMimeType",
        ),
        (
            "gemini",
            "anthropic",
            {"generationConfig": {"maxOutputTokens": 10, "thinkingConfig": {"thinkingBudget": 9}}},
            "generationConfig.maxOutputTokens",
        ),
        ("openai", "anthropic", {"max_tokens": 10, "reasoning_effort": "low"}, "max_tokens"),
        ("openai", "anthropic", {"max_completion_tokens": 10, "reasoning_effort": "low"}, "max_completion_tokens"),
        ("responses", "anthropic", {"max_output_tokens": 10, "reasoning": {"effort": "low"}}, "max_output_tokens"),
        ("responses", "anthropic", {"text": {"format": {"type": "json_object"}}}, "text.format"),
        ("openai", "anthropic", {"response_format": {"type": "json_object"}}, "response_format"),
        ("anthropic", "gemini", TOOLS, "tool_choice.disable_parallel_tool_use"),
        ("gemini", "anthropic", SHOWN, "contents[1].parts"),
        ("responses", "gemini", {"input": [{"role": "user", "content": "Hi"}, RESPONSES_CALL]}, "input"),
        ("openai", "gemini", {"messages": [*HI["openai"]["messages"], OPENAI_CALL]}, "messages"),
        ("openai", "anthropic", {"messages": [{"role": "system", "content": "Be brief"}]}, "messages"),
        ("openai", "gemini", {"messages": [{"role": "user", "content": ""}]}, "messages"),
        ("responses", "anthropic", {"input": [{"role": "developer", "content": "Be brief"}]}, "input"),
    ],
)
def test_the_refused_member_has_the_name_that_the_client_gave_it(
    client: str, vendor: str, members: dict[str, Any], field: str
) -> None:
    request = dialect_of(client).parse_request({**HI[client], **members}, model="m")
    dialect = Anthropic(thinking="budget") if vendor == "anthropic" else dialect_of(vendor)
    with pytest.raises(Untranslatable) as refusal:
        crossed((), request, lambda: dialect.render_request(request))
    assert refusal.value.field == field


@pytest.mark.parametrize("vendor", ["anthropic", "gemini"])
def test_instructions_and_results_that_are_empty_are_left_out_as_the_vendors_refuse_empty_texts(vendor: str) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    turns = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": ""}]
    messages: Any = [{"role": "system", "content": ""}, *HI["openai"]["messages"], *turns]
    rendered: Any = dialect_of(vendor).render_request(
        dialect_of("openai").parse_request({"messages": messages}, model="m")
    )
    if vendor == "anthropic":
        assert "system" not in rendered
        assert rendered["messages"][-1]["content"] == [{"type": "tool_result", "tool_use_id": "c"}]
    else:
        assert "systemInstruction" not in rendered
        answer = {"id": "c", "name": "f", "response": {"output": ""}}
        assert rendered["contents"][-1]["parts"] == [{"functionResponse": answer}]


@pytest.mark.parametrize(("answers", "thinking"), [(0, "enabled"), (1, "disabled")])
def test_a_model_of_anthropic_goes_on_after_its_calls_without_the_thinking_that_only_its_own_clients_keep(
    answers: int, thinking: str
) -> None:
    turns: list[Any] = [
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}]},
    ]
    config: Any = {"maxOutputTokens": 4000, "thinkingConfig": {"thinkingBudget": 2000}}
    contents = [*HI["gemini"]["contents"], *(turns * answers)]
    request = dialect_of("gemini").parse_request({"contents": contents, "generationConfig": config}, model="m")
    rendered: Any = Anthropic().render_request(request)
    assert rendered["thinking"]["type"] == thinking


WORD, BUDGET = ReasoningSettings(effort="medium"), ReasoningSettings(budget_tokens=30_000)


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        ("claude-haiku-4-5", WORD, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("claude-haiku-4-5-20251001", BUDGET, {"thinking": {"type": "enabled", "budget_tokens": 30_000}}),
        ("claude-sonnet-4-20250514", WORD, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("claude-opus-4-1-20250805", WORD, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("claude-3-7-sonnet-latest", WORD, {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("claude-opus-4-6", WORD, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}),
        ("claude-opus-4-10", BUDGET, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ("claude-sonnet-5-5", BUDGET, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ("claude-sonnet-5", ReasoningSettings(), {"thinking": {"type": "disabled"}}),
        ("somebodys-own", WORD, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}),
        ("somebodys-own", BUDGET, {"thinking": {"type": "enabled", "budget_tokens": 30_000}}),
        ("gemini-2.5-flash", WORD, {"thinkingConfig": {"thinkingBudget": 8192, "includeThoughts": True}}),
        ("gemini-2.5-pro", BUDGET, {"thinkingConfig": {"thinkingBudget": 24_576, "includeThoughts": True}}),
        ("gemini-2.5-flash", ReasoningSettings(), {"thinkingConfig": {"thinkingBudget": 0}}),
        ("gemini-3.5-flash", BUDGET, {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}),
    ],
)
def test_a_model_is_told_to_think_in_the_one_way_that_it_takes(
    model: str, asked: ReasoningSettings, told: dict[str, Any]
) -> None:
    request = ChatRequest(model, (Message("user", (Text("Hi"),)),), max_tokens=40_000, reasoning=asked)
    dialect = dialect_of("gemini" if model.startswith("gemini") else "anthropic")
    rendered: Any = dialect.render_request(request)
    said = rendered.get("generationConfig", rendered)
    assert {name: said[name] for name in ("thinking", "output_config", "thinkingConfig") if name in said} == told
