"""The parameters of executeAIRequest: what they take, what they refuse and where they say so, and what they become."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.ai import METHODS
from methods.ai_params import MAX_TOKENS_DEFAULT, ExecuteParams
from methods.ai_request import Draft, draft_of, images_in, tokens_input_max
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
from methods.errors import InvalidParams
from methods.prompts import PromptRegistry
from monetization.estimate import IMAGE_TOKENS, TOOLS_TOKENS
from monetization.terms import Route, Target

EXECUTE = METHODS[0]


def parsed(params: object) -> ExecuteParams:
    params_parsed = EXECUTE.parse(params)
    assert isinstance(params_parsed, ExecuteParams)
    return params_parsed


def resolve(provider: str | None, model: str | None) -> Route:
    return Route((Target(provider or "p", model or "m"),), (Target("other", "n"),))


def drafted(params: object, prompts: Path | None = None) -> Draft:
    return draft_of(parsed(params), PromptRegistry(prompts, clock=lambda: 1.0, on_problem=print), resolve)


def refused(params: object) -> list[dict[str, str]]:
    with pytest.raises(InvalidParams) as wrong:
        EXECUTE.parse(params)
    errors = wrong.value.data["errors"]
    assert isinstance(errors, list)
    return errors


def test_the_documents_request_becomes_one_canonical_request() -> None:  # S0-34
    draft = drafted(
        {
            "content": "Explain quantum computing",
            "systemPrompt": "You are a helpful physics tutor",
            "options": {"provider": "anthropic", "model": "claude-3-sonnet", "maxTokens": 1000},
        }
    )
    assert draft.route.targets == (Target("anthropic", "claude-3-sonnet"), Target("other", "n"))
    assert draft.is_output_asked
    assert draft.request == ChatRequest(
        model="claude-3-sonnet",
        messages=(Message("user", (Text("Explain quantum computing"),)),),
        system=(Text("You are a helpful physics tutor"),),
        max_tokens=1000,
    )


def test_positions_follow_the_documents_order() -> None:
    by_position = parsed(["hi", "be brief", {"maxTokens": 5}, {"a": "b"}, "key-1"])
    by_name = parsed(
        {
            "content": "hi",
            "systemPrompt": "be brief",
            "options": {"maxTokens": 5},
            "metadata": {"a": "b"},
            "apiKey": "key-1",
        }
    )
    assert by_position == by_name


def test_without_a_number_the_default_is_sent_and_marked_as_ours() -> None:
    draft = drafted({"content": "hi"})
    assert draft.request.max_tokens == MAX_TOKENS_DEFAULT
    assert not draft.is_output_asked


def test_a_whole_conversation_with_tools_and_images_is_carried_over() -> None:
    draft = drafted(
        {
            "systemPrompt": "first",
            "messages": [
                {"role": "system", "content": "second"},
                {"role": "user", "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "image_url", "imageUrl": {"url": "https://example.com/a.png"}},
                    {"type": "image", "mediaType": "image/jpeg", "data": "BBBB"},
                ]},
                {"role": "assistant", "content": [{"type": "reasoning", "text": "hm", "signature": "s"}], "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            ],
            "content": "and now?",
            "options": {
                "stop": "END",
                "temperature": 0,
                "topP": 0.5,
                "topK": 3,
                "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
                "toolChoice": {"type": "function", "function": {"name": "weather"}},
                "parallelToolCalls": False,
                "responseFormat": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
                },
                "reasoning": {"effort": "low"},
            },
        }
    )  # fmt: skip
    assert draft.request == ChatRequest(
        model="m",
        system=(Text("first"), Text("second")),
        messages=(
            Message(
                "user",
                (
                    Text("look"),
                    Image(media_type="image/png", data="AAAA"),
                    Image(url="https://example.com/a.png"),
                    Image(media_type="image/jpeg", data="BBBB"),
                ),
            ),
            Message("assistant", (Reasoning("hm", "s"), ToolCall("c1", "weather", '{"city":"Ulm"}'))),
            Message("tool", (ToolResult("c1", (Text("sunny"),), name="weather"),)),
            Message("user", (Text("and now?"),)),
        ),
        max_tokens=MAX_TOKENS_DEFAULT,
        temperature=0,
        top_p=0.5,
        top_k=3,
        stop=("END",),
        tools=(Tool("weather", None, {"type": "object"}),),
        tool_choice=ToolChoice("named", "weather"),
        is_parallel_tools=False,
        response_format=ResponseFormat("json_schema", {"type": "object"}, "n", is_strict=True),
        reasoning=ReasoningSettings(effort="low"),
    )


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({}, "params"),
        (None, "params"),
        ([], "params"),
        ({"systemPrompt": "only"}, "params"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 256}] * 65}, "params"),
        ({"messages": [{"role": "system", "content": "only"}]}, "params"),
        ({"content": 5}, "content"),
        ({"content": []}, "content"),
        ({"content": [{"type": "text"}]}, "content.0.text"),
        ({"content": [{"type": "video"}]}, "content.0"),
        ({"content": [{"type": "image", "mediaType": "text/html", "data": "x"}]}, "content.0.mediaType"),
        ({"content": "x", "mispelt": 1}, "mispelt"),
        ({"content": "x", "options": {"max_tokens": 1}}, "options.max_tokens"),
        ({"content": "x", "options": {"maxTokens": 0}}, "options.maxTokens"),
        ({"content": "x", "options": {"maxTokens": 1_000_001}}, "options.maxTokens"),
        ({"content": "x", "options": {"maxTokens": "5"}}, "options.maxTokens"),
        ({"content": "x", "options": {"maxTokens": True}}, "options.maxTokens"),
        ({"content": "x", "options": {"temperature": 3}}, "options.temperature"),
        ({"content": "x", "options": {"toolChoice": "required"}}, "options"),
        ({"content": "x", "options": {"responseFormat": {"type": "json_schema"}}}, "options.responseFormat"),
        ({"content": "x", "options": {"reasoning": {}}}, "options.reasoning"),
        ({"content": "x", "promptContext": {}}, "params"),
        ({"content": "x", "promptId": "../x"}, "promptId"),
        ({"content": "x", "promptId": "p", "systemPrompt": "y"}, "params"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}], "promptId": "p"}, "params"),
        ({"content": "x", "metadata": {"a" * 65: "b"}}, f"metadata.{'a' * 65}"),
        ({"content": "x", "stream": "yes"}, "stream"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_path(params: object, path: str) -> None:
    assert refused(params)[0]["path"] == path


def test_an_image_is_only_fetched_over_http_or_carried_along() -> None:
    part = {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}
    assert refused({"content": [part]})[0]["path"].endswith("image_url.url")


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "ключ", "tab\t", "x" * 4097])
@pytest.mark.parametrize("place", ["params", "options"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_without_repeating_it(key: str, place: str) -> None:
    params: dict[str, Any] = (
        {"content": "x", "apiKey": key} if place == "params" else {"content": "x", "options": {"apiKey": key}}
    )
    errors = refused(params)
    assert errors[0]["path"].endswith("apiKey")
    assert not key or key not in json.dumps(errors, ensure_ascii=False)


def test_an_own_key_is_only_ever_for_one_provider() -> None:
    assert drafted({"content": "x"}).route.targets == (Target("p", "m"), Target("other", "n"))
    assert drafted({"content": "x", "apiKey": "k"}).route.targets == (Target("p", "m"),)


@pytest.mark.parametrize("place", ["params", "options"])
def test_an_own_key_is_found_in_both_places_and_never_prints(place: str) -> None:
    own: dict[str, Any] = {"apiKey": "sk-canary"}
    params = parsed({"content": "x", **own} if place == "params" else {"content": "x", "options": own})
    assert params.own_key is not None
    assert params.own_key.reveal() == "sk-canary"
    for shown in (repr(params), str(params), repr(params.own_key), params.model_dump_json()):
        assert "canary" not in shown


def test_the_key_of_params_wins_over_the_one_of_options() -> None:
    own_key = parsed({"content": "x", "apiKey": "a", "options": {"apiKey": "b"}}).own_key
    assert own_key is not None
    assert own_key.reveal() == "a"


@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists))
@settings(deadline=None, max_examples=30)
def test_a_user_id_in_the_body_changes_nothing(value: object) -> None:
    assert drafted({"content": "x", "userId": value}).request == drafted({"content": "x"}).request


def test_a_prompt_is_the_system_prompt_and_gives_defaults_that_the_call_overrides(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text('+++\nmodel = "k"\nmax_tokens = 7\ntemperature = 0.1\n+++\nUse {{ x }}.')
    draft = drafted({"content": "hi", "promptId": "p", "promptContext": {"x": "Go"}}, tmp_path)
    assert draft.request.system == (Text("Use Go."),)
    assert (draft.route.targets[0].model, draft.request.max_tokens, draft.request.temperature) == ("k", 7, 0.1)
    draft = drafted(
        {"content": "hi", "promptId": "p", "promptContext": {"x": "Go"}, "options": {"model": "n", "maxTokens": 9}},
        tmp_path,
    )
    assert (draft.route.targets[0].model, draft.request.max_tokens) == ("n", 9)


def test_a_prompt_alone_is_the_whole_request(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("Tell a joke.")
    request = drafted({"promptId": "p"}, tmp_path).request
    assert request.system == ()
    assert request.messages == (Message("user", (Text("Tell a joke."),)),)


def test_the_estimate_sees_everything_that_is_written() -> None:
    def estimated(**more: object) -> int:
        request = drafted({"content": "hi", **more}).request
        return tokens_input_max(request, images=images_in(request))

    base = estimated()
    long = "x" * 1000
    assert estimated(systemPrompt=long) - base == 500
    assert estimated(messages=[{"role": "user", "content": long}]) - base > 500
    tool = {"type": "function", "function": {"name": "f", "parameters": {"description": long}}}
    assert estimated(options={"tools": [tool]}) - base > 500 + TOOLS_TOKENS
    image = {"type": "image", "mediaType": "image/png", "data": long}
    assert estimated(messages=[{"role": "user", "content": [image]}]) - base > IMAGE_TOKENS
    result = [{"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": long}, image]}]
    assert estimated(messages=result) - base > 500 + IMAGE_TOKENS
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}, "signature": long}
    assert estimated(messages=[{"role": "assistant", "toolCalls": [call]}]) - base > 500
    format_ = {"type": "json_schema", "json_schema": {"schema": {"description": long}}}
    assert estimated(options={"responseFormat": format_}) - base > 500


def test_tool_results_find_their_calls_in_a_time_that_grows_as_the_conversation() -> None:
    def call(number: int, name: str) -> dict[str, Any]:
        return {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}

    turns = [
        {"role": "assistant", "tool_calls": [call(n + 100 * turn, f"f{turn}") for n in range(100)]}
        for turn in range(500)
    ]
    twice = {"role": "assistant", "tool_calls": [call(0, "later"), call(0, "not-this")]}
    results = [
        {"role": "tool", "tool_call_id": f"c{number}", "content": "x"}
        for number in (0, 99, 100, *range(10**6, 10**6 + 1500))
    ]
    params = parsed({"messages": [*turns, twice, *results]})
    started = time.process_time()
    request = draft_of(params, PromptRegistry(None, clock=lambda: 1.0, on_problem=print), resolve).request
    assert (
        time.process_time() - started < 2
    )  # some tenths; where each result looked at all calls before it, five and more
    named = [part.name for message in request.messages for part in message.parts if isinstance(part, ToolResult)]
    assert named == ["later", "f0", "f1", *[None] * 1500]
