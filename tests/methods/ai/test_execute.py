"""executeAIRequest: what the provider is told, what the meter hears, and what comes back, whole and streamed."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from methods.ai import METHODS
from methods.ai_collect import Answer
from methods.ai_receipt import present
from methods.ai_result import ExecuteResult
from methods.context import Context
from methods.dialects.canonical import (
    Finished,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    UsageSeen,
)
from methods.errors import InvalidParams, ProviderFailed, UnknownModel, UnknownProvider
from methods.method import to_wire
from methods.progress import Notice, RunStarted
from monetization.callers import Caller
from monetization.calls import Call, Credential
from monetization.tab import Meter, Receipt
from monetization.terms import Target
from storage.records.usage import Usage
from tests.methods.ai.support import Bench, said

STREAM: list[list[StreamEvent]] = [
    [Started("x", "m-2024")],
    [ReasoningDelta("let me ", 0), ReasoningDelta("see", 0, signature="sig")],
    [TextDelta("Hé", 1), TextDelta("llo", 1)],
    [ToolCallDelta(0, "c1", "weather", '{"a"'), ToolCallDelta(0, arguments=":1}")],
    [UsageSeen(Usage(input=3, output=9, reasoning=2)), Finished("tool_calls")],
]


async def test_a_whole_answer_has_the_fields_of_every_document(bench: Bench) -> None:  # S0-35, S1-14, S1-15, R16
    bench.a.reply = said(
        "Hi", usage=Usage(input=3, cache_read=5, cache_write_5m=1, cache_write_1h=1, output=4, reasoning=2)
    )
    run = await bench.run("executeAIRequest", {"content": "Hello"})
    assert run.answer == {
        "content": "Hi",
        "success": True,
        "data": {
            "content": "Hi",
            "usage": {"promptTokens": 10, "completionTokens": 6, "totalTokens": 16},
            "model": "m-2024",
            "provider": "a",
            "requestId": "req_1",
            "finishReason": "stop",
        },
        "usage": {
            "inputTokens": 10,
            "outputTokens": 6,
            "totalTokens": 16,
            "cachedInputTokens": 5,
            "cacheWriteTokens": 2,
            "reasoningTokens": 2,
        },
        "requestId": "req_1",
        "model": "m-2024",
        "provider": "a",
        "finishReason": "stop",
    }
    assert json.loads(to_wire(run.answer)) == run.answer


async def test_the_provider_is_told_exactly_what_was_asked(bench: Bench) -> None:
    await bench.run(
        "executeAIRequest",
        {"content": "Hello", "options": {"maxTokens": 7, "model": "n"}, "apiKey": "own", "userId": "x"},
    )
    [ask] = bench.a.asked
    assert (ask.request.model, ask.request.max_tokens, ask.request_id, ask.traceparent) == (
        "n",
        7,
        "req_1",
        "00-1-2-01",
    )
    assert ask.own_key is not None
    assert ask.own_key.reveal() == "own"
    assert ask.request.user is None, "who the caller is stays here"


async def test_the_length_that_the_tier_allows_is_the_one_that_is_sent(bench: Bench) -> None:
    run = await bench.run("executeAIRequest", {"content": "Hello"}, lower_to=50)
    assert run.fault is None
    assert bench.a.asked[0].request.max_tokens == 50


async def test_the_most_of_a_call_names_all_that_may_serve_it(bench: Bench) -> None:
    most = (await bench.run("executeAIRequest", {"content": "Hello"})).most
    assert most is not None
    assert most.targets == (Target("a", "m", "openai"), Target("b", "n", "anthropic"))
    assert (most.tokens_output, most.is_output_asked) == (4096, False)
    asked = (await bench.run("executeAIRequest", {"content": "Hello", "options": {"maxTokens": 9}})).most
    assert asked is not None
    assert (asked.tokens_output, asked.is_output_asked) == (9, True)


async def test_an_own_key_is_never_shown_to_the_fallback(bench: Bench) -> None:
    bench.a.reply = ProviderFailed("down")
    run = await bench.run("executeAIRequest", {"content": "Hello", "apiKey": "own"})
    assert isinstance(run.fault, ProviderFailed)
    assert bench.b.asked == []


@pytest.mark.parametrize(
    ("options", "fault"), [({"model": "nope"}, UnknownModel), ({"provider": "nope"}, UnknownProvider)]
)
async def test_names_that_nobody_serves_are_refused_before_anything_is_asked(
    bench: Bench, options: dict[str, str], fault: type[Exception]
) -> None:
    with pytest.raises(fault):
        await bench.run("executeAIRequest", {"content": "Hello", "options": options})
    assert bench.a.asked == []


async def test_the_meter_hears_who_serves_what_came_and_that_it_is_complete(bench: Bench) -> None:
    run = await bench.run(
        "executeAIRequest", {"content": "Hello", "metadata": {"feature": "chat", "try": 2, "x": None}}
    )
    meter = run.meter
    assert meter.target == Target("a", "m", "openai")
    assert meter.usage == Usage(input=3, output=4)
    assert meter.bytes_delivered == len("Hello.")
    assert meter.is_complete
    assert meter.first_byte is not None
    assert meter.metadata == {"feature": "chat", "try": "2", "x": "null"}


async def test_a_fallback_serves_and_the_stream_says_so(bench: Bench) -> None:
    bench.a.reply = ProviderFailed("down")
    whole = await bench.run("executeAIRequest", {"content": "Hello"})
    assert (whole.answer["provider"], whole.answer["content"]) == ("b", "From b.")
    assert whole.meter.target == Target("b", "n", "anthropic")
    assert bench.b.asked[0].request.model == "n"

    bench.b.batches = [[TextDelta("x")], [Finished("stop")]]
    streamed = await bench.run("executeAIRequest", {"content": "Hello"}, is_stream=True)
    assert streamed.progress[0] == RunStarted(model="n", provider="b")
    assert isinstance(streamed.progress[1], Notice)
    assert streamed.progress[2:] == [TextDelta("x")]


async def test_a_stream_begins_with_who_answers_and_ends_with_the_complete_result(bench: Bench) -> None:
    bench.a.batches = STREAM
    run = await bench.run("executeAIRequest", {"content": "Hello"}, is_stream=True)
    assert run.fault is None
    assert run.progress == [
        RunStarted(model="m-2024", provider="a"),
        *STREAM[1],
        *STREAM[2],
        *STREAM[3],
        STREAM[4][0],
    ]
    assert run.answer["content"] == "Héllo"
    assert run.answer["finishReason"] == "tool_calls"
    assert run.answer["toolCalls"] == [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}}
    ]
    assert run.answer["reasoning"] == [{"type": "reasoning", "text": "let me see", "signature": "sig"}]
    assert run.answer["usage"]["outputTokens"] == 11
    assert run.meter.is_complete
    assert run.meter.bytes_delivered == len("let me see" + "Héllo" + '{"a":1}') + 1
    assert bench.a.is_closed


async def test_the_same_answer_is_the_same_result_whole_and_streamed(bench: Bench) -> None:
    bench.a.batches = STREAM
    bench.a.reply = said(
        "",
        parts=(Reasoning("let me see", "sig"), Text("Héllo"), ToolCall("c1", "weather", '{"a":1}')),
        usage=Usage(input=3, output=9, reasoning=2),
        finish_reason="tool_calls",
    )
    streamed = await bench.run("executeAIRequest", {"content": "Hello"}, is_stream=True)
    whole = await bench.run("executeAIRequest", {"content": "Hello"})
    assert streamed.answer == whole.answer
    assert streamed.meter.bytes_delivered == whole.meter.bytes_delivered


async def test_a_break_midway_travels_on_and_leaves_what_was_delivered_on_the_meter(bench: Bench) -> None:
    bench.a.batches = [[Started(None, None)], [TextDelta("Half an")], ProviderFailed("cut")]
    run = await bench.run("executeAIRequest", {"content": "Hello"}, is_stream=True)
    assert isinstance(run.fault, ProviderFailed)
    assert run.meter.bytes_delivered == len("Half an")
    assert (run.meter.usage, run.meter.is_complete) == (None, False)
    assert run.meter.target == Target("a", "m", "openai")
    assert bench.b.asked == [], "what a client has seen cannot be taken back by another provider"
    assert bench.a.is_closed


async def test_each_read_reaches_the_client_before_the_next_one(bench: Bench) -> None:
    meter = Meter()
    seen: list[tuple[int, int]] = []
    bench.a.batches = [[TextDelta("a")], [TextDelta("b")], [Finished("stop")]]
    bench.a.before_batch = lambda number: seen.append((number, meter.bytes_delivered))
    await bench.run("executeAIRequest", {"content": "Hello"}, is_stream=True, meter=meter)
    assert seen == [(0, 0), (1, 1), (2, 2)]


async def test_no_usage_is_no_usage_until_the_tab_has_an_estimate(bench: Bench) -> None:
    bench.a.reply = said("Hi", usage=None)
    run = await bench.run("executeAIRequest", {"content": "Hello"})
    assert "usage" not in run.answer
    assert "usage" not in run.answer["data"]
    shown = present(run.answer, Receipt(Usage(input=5, output=6), is_estimated=True))
    assert shown["usage"]["isEstimated"] is True
    assert shown["usage"]["totalTokens"] == 11
    assert shown["data"]["usage"]["totalTokens"] == 11
    bench.a.reply = said("Hi", usage=Usage())
    zero = await bench.run("executeAIRequest", {"content": "Hello"})
    assert zero.answer["usage"]["totalTokens"] == 0
    assert "isEstimated" not in present(zero.answer, Receipt(Usage(input=5)))["usage"]


async def test_a_prompt_is_sent_to_the_provider_and_to_nobody_else(bench: Bench) -> None:
    (bench.prompts / "p.md").write_text("CANARY {{ x }}")
    run = await bench.run("executeAIRequest", {"content": "Hi", "promptId": "p", "promptContext": {"x": "y"}})
    assert bench.a.asked[0].request.system == (Text("CANARY y"),)
    assert "CANARY" not in json.dumps(run.answer)
    with pytest.raises(InvalidParams) as refused:
        await bench.run("executeAIRequest", {"content": "Hi", "promptId": "p"})
    assert "CANARY" not in repr(refused.value.data) + str(refused.value)


@pytest.mark.parametrize("name", ["executeAIRequest", "ai.generateText", "generateText"])
async def test_every_documented_name_is_the_same_method(bench: Bench, name: str) -> None:
    run = await bench.run(name, ["Hello", "Be brief"])
    assert run.answer["content"] == "Hello."


@pytest.mark.parametrize("example", METHODS[0].examples, ids=lambda example: example.name)
async def test_every_example_can_be_sent_and_its_result_has_the_promised_shape(bench: Bench, example: Any) -> None:
    run = await bench.run("executeAIRequest", dict(example.params))
    assert shape(run.answer) == shape(example.result)
    TypeAdapter(ExecuteResult).validate_python(example.result)


def shape(value: object) -> object:
    return {name: shape(member) for name, member in value.items()} if isinstance(value, dict) else type(value)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(TextDelta, st.text(max_size=8), st.just(0)),
            st.builds(ReasoningDelta, st.text(max_size=8), st.integers(0, 2)),
            st.builds(ToolCallDelta, st.integers(0, 2), st.just("i"), st.just("n"), st.text(max_size=8)),
        ),
        max_size=30,
    ),
    st.integers(1, 7),
)
def test_concatenated_deltas_equal_the_final_result(events: list[Any], size: int) -> None:
    meter = Meter(target=Target("a", "m"))
    answer = Answer(meter)
    seen = [delta for start in range(0, len(events), size) for delta in answer.take(events[start : start + size])]
    result = answer.result("r")
    texts = [delta.text for delta in seen if isinstance(delta, TextDelta)]
    thoughts = [delta.text for delta in seen if isinstance(delta, ReasoningDelta)]
    arguments = [delta.arguments for delta in seen if isinstance(delta, ToolCallDelta)]
    assert result["content"] == "".join(texts)
    assert sum(len(part["text"]) for part in result.get("reasoning", [])) == len("".join(thoughts))
    assert sum(len(call["function"]["arguments"]) for call in result.get("toolCalls", [])) == len("".join(arguments))
    assert meter.bytes_delivered == len("".join(texts + thoughts + arguments).encode())


async def test_what_was_quoted_is_what_is_sent_even_if_the_prompt_changes_in_between(bench: Bench) -> None:
    execute, prompt = METHODS[0], bench.prompts / "p.md"
    assert execute.most is not None
    params = execute.parse({"content": "hi", "promptId": "p"})
    prompt.write_text("short")
    quoted = execute.most(bench.services, params)
    prompt.write_text("a much longer prompt")
    services = bench.services  # reads the prompts anew
    assert execute.most(services, params).tokens_input > quoted.tokens_input
    call = Call("executeAIRequest", None, Credential("none"), "req_1")
    await execute.handler(Context(Caller("subscription", user_id="u1"), call, services, Meter(), None, quoted), params)
    assert [ask.request.system for ask in bench.a.asked] == [(Text("short"),)]


async def test_a_refusal_in_a_stream_is_text(bench: Bench) -> None:
    bench.a.batches = [[RefusalDelta("I "), RefusalDelta("won't.")], [Finished("content_filter")]]
    run = await bench.run("executeAIRequest", {"content": "Hello"}, is_stream=True)
    assert run.answer["content"] == "I won't."
    assert [item.text for item in run.progress if isinstance(item, TextDelta)] == ["I ", "won't."]
    assert run.meter.bytes_delivered == len("I won't.")


@pytest.mark.parametrize(
    ("ending", "rest", "usage"),
    [
        ([Finished("stop")], [UsageSeen(Usage(input=3, output=1, reasoning=90))], Usage(input=3, output=1, reasoning=90)),
        ([Finished("stop")], [ProviderFailed("no more of it")], None),
        ([UsageSeen(Usage(input=3, output=1)), Finished("stop")], [UsageSeen(Usage(input=9))], Usage(input=3, output=1)),
        ([], [UsageSeen(Usage(input=3, output=1))], None),
    ],
    ids=["not counted yet", "never counted", "counted", "not finished"],
)  # fmt: skip
async def test_who_leaves_a_finished_answer_is_charged_by_the_count_that_follows_it(
    bench: Bench, ending: list[StreamEvent], rest: list[Any], usage: Usage | None
) -> None:
    bench.a.batches = [[TextDelta("x"), *ending], *([one] if isinstance(one, StreamEvent) else one for one in rest)]
    method = bench.services.catalog.find("executeAIRequest")
    params, meter = method.parse({"content": "Hello"}), Meter()
    assert method.most is not None

    async def gone(_: object) -> None:
        raise asyncio.CancelledError

    call = Call("executeAIRequest", {}, Credential("none"), "req_1")
    most = method.most(bench.services, params)
    context = Context(Caller("subscription", user_id="u1"), call, bench.services, meter, gone, most)
    with pytest.raises(asyncio.CancelledError):
        await method.handler(context, params)
    assert meter.usage == usage
    assert bench.a.is_closed
