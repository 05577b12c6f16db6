"""The simulator: deterministic words, honest usage, scripted misbehaviour."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from methods.dialects.canonical import (
    Finished,
    Passed,
    Reasoning,
    ReasoningDelta,
    ResponseFormat,
    StreamEvent,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    UsageSeen,
)
from methods.providers.base import Ask
from methods.providers.simulator import Simulator
from monetization.callers import Secret
from storage.errors import Fault
from tests.methods.providers.conftest import ask_for
from tests.methods.providers.fakes import Clock

TOOL = Tool(
    "weather", None, {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
)


def asking(model: str = "simulator", text: str = "Say hello.", **changes: Any) -> Ask:
    ask = ask_for(model, text)
    return replace(ask, request=replace(ask.request, **changes))


async def streamed(ask: Ask, clock: Clock | None = None) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    async with Simulator(sleep=(clock or Clock()).sleep).stream(ask) as batches:
        async for batch in batches:
            events.extend([event for event in batch if not isinstance(event, Passed)])
    return events


async def test_the_same_prompt_gets_the_same_words_and_another_one_others() -> None:
    simulator = Simulator(sleep=Clock().sleep)
    first, again, other = [await simulator.complete(asking(text=text)) for text in ("one", "one", "two")]

    assert first == again
    assert first.text != other.text
    assert first.usage is not None
    assert (first.usage.input, first.usage.output) == (1, len(first.text.split()))


async def test_several_answers_are_refused_and_never_cut_down_to_one() -> None:
    ask = asking(answers=2, dialect="openai")
    for asked in (Simulator(sleep=Clock().sleep).complete, streamed):
        with pytest.raises(Fault) as refused:
            await asked(ask)
        assert (refused.value.slug, refused.value.data["field"]) == ("untranslatable", "n")


@pytest.mark.parametrize("bound", [1, 5, 23])
async def test_max_tokens_bounds_the_answer(bound: int) -> None:
    for model in ("simulator", "simulator-long", "simulator-reasoning"):
        reply = await Simulator(sleep=Clock().sleep).complete(asking(model, max_tokens=bound))
        assert reply.usage is not None
        assert reply.usage.tokens_output == bound
        assert reply.finish_reason == "length"


@pytest.mark.parametrize("model", ["simulator", "simulator-reasoning", "simulator-tools", "simulator-long"])
async def test_a_stream_says_what_the_whole_answer_says(model: str) -> None:
    ask = asking(model, tools=(TOOL,))
    whole = await Simulator(sleep=Clock().sleep).complete(ask)
    events = await streamed(ask)

    assert "".join([event.text for event in events if isinstance(event, TextDelta)]) == whole.text
    thoughts = "".join([part.text for part in whole.parts if isinstance(part, Reasoning)])
    assert "".join([event.text for event in events if isinstance(event, ReasoningDelta)]) == thoughts
    arguments = "".join([part.arguments for part in whole.parts if isinstance(part, ToolCall)])
    assert "".join([event.arguments for event in events if isinstance(event, ToolCallDelta)]) == arguments
    assert [event.usage for event in events if isinstance(event, UsageSeen)] == [whole.usage]
    assert [event.finish_reason for event in events if isinstance(event, Finished)] == [whole.finish_reason]


async def test_tools_and_structured_output_fit_their_schema() -> None:
    simulator = Simulator(sleep=Clock().sleep)
    called = await simulator.complete(asking("simulator-tools", tools=(TOOL,)))
    assert isinstance(called.parts[0], ToolCall)
    assert (called.parts[0].name, called.finish_reason) == ("weather", "tool_calls")
    assert set(orjson.loads(called.parts[0].arguments)) == {"city", "days"}

    wanted = ResponseFormat("json_schema", {"type": "object", "properties": {"ok": {"type": "boolean"}}}, "x")
    shaped = await simulator.complete(asking(response_format=wanted))
    assert isinstance(orjson.loads(shaped.text)["ok"], bool)


async def test_a_stop_sequence_ends_the_text_before_it() -> None:
    simulator = Simulator(sleep=Clock().sleep)
    whole = await simulator.complete(asking())
    stop = whole.text.split()[2]
    cut = await simulator.complete(asking(stop=(stop,)))

    assert (cut.finish_reason, cut.stop_sequence) == ("stop", stop)
    assert whole.text.startswith(cut.text)
    assert stop not in cut.text


@pytest.mark.parametrize(
    ("model", "text", "reason"),
    [
        ("simulator-error-429", "x", "provider_rate_limited"),
        ("simulator-error-500", "x", "provider_unavailable"),
        ("simulator", "please [simulate error-401]", "provider_auth"),
        ("simulator-cut", "x", "provider_cut"),
        ("simulator-overloaded", "x", "provider_unavailable"),
    ],
)
async def test_scripts_fail_as_a_vendor_would(model: str, text: str, reason: str) -> None:
    with pytest.raises(Fault) as whole:
        await Simulator(sleep=Clock().sleep).complete(asking(model, text))
    with pytest.raises(Fault) as stream:
        await streamed(asking(model, text))

    assert whole.value.slug == stream.value.slug == reason


async def test_delays_go_through_the_given_sleep() -> None:
    clock = Clock()
    await streamed(asking("simulator-slow"), clock)
    assert clock.sleeps == [2.0]
    clock = Clock()
    events = await streamed(asking("simulator-slow-stream"), clock)
    assert clock.sleeps == [0.05] * len([event for event in events if isinstance(event, TextDelta)])


async def test_absent_usage_is_none_and_not_zero() -> None:
    assert (await Simulator(sleep=Clock().sleep).complete(asking("simulator-no-usage"))).usage is None


async def test_it_needs_no_key() -> None:
    simulator = Simulator(sleep=Clock().sleep)

    assert simulator.has_operator_key()
    assert [await simulator.check_key(Secret(key)) for key in ("good", "bad-key")] == [True, False]
