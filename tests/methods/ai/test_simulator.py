"""executeAIRequest over the simulator that ships, through the router as it is built for a server."""

from collections.abc import Sequence
from typing import Any

import pytest

from methods.context import Context, Services
from methods.errors import ProviderFailed
from methods.method import Method
from methods.progress import Progress, RunStarted
from methods.providers.names import RoutingConfig
from methods.providers.simulator import Simulator
from monetization.callers import Caller
from monetization.calls import Call, Credential
from monetization.tab import Meter
from storage.errors import Fault
from tests.methods.ai.support import services_of


async def at_once(seconds: float) -> None:
    """The simulator's delays, without the waiting."""
    del seconds


@pytest.fixture
def services() -> Services:
    routing = RoutingConfig(default_provider="simulator", default_model="m")
    return services_of({"simulator": Simulator("simulator", sleep=at_once)}, routing)


async def executed(services: Services, params: object, progress: list[Progress] | None = None) -> tuple[Any, Meter]:
    method: Method = services.catalog.find("executeAIRequest")
    parsed = method.parse(params)
    assert method.most is not None
    caller = Caller("subscription", user_id="u1").bringing(parsed.own_key)
    meter = Meter()

    async def sink(batch: Sequence[Progress]) -> None:
        assert progress is not None
        progress.extend(batch)

    context = Context(
        caller,
        Call("executeAIRequest", params, Credential("none"), "req_1"),
        services,
        meter,
        None if progress is None else sink,
        method.most(services, parsed),
    )
    try:
        return await method.handler(context, parsed), meter
    except Fault as fault:
        return fault, meter


@pytest.mark.parametrize("script", ["", "[simulate reasoning]", "[simulate long]", "[simulate no-usage]"])
async def test_whole_and_streamed_answers_are_the_same(services: Services, script: str) -> None:
    params = {"content": f"Explain bridges {script}", "options": {"maxTokens": 60}}
    progress: list[Progress] = []
    streamed, streamed_meter = await executed(services, params, progress)
    whole, whole_meter = await executed(services, params)
    assert streamed == whole
    assert whole["content"]
    assert isinstance(progress[0], RunStarted)
    assert streamed_meter.is_complete
    assert whole_meter.is_complete
    assert streamed_meter.usage == whole_meter.usage
    assert ("usage" in whole) == ("no-usage" not in script)


async def test_the_answer_stays_within_what_was_held(services: Services) -> None:
    params = {"content": "Explain bridges [simulate long]", "options": {"maxTokens": 60}}
    method = services.catalog.find("executeAIRequest")
    assert method.most is not None
    most = method.most(services, method.parse(params))
    answer, _ = await executed(services, params)
    assert answer["finishReason"] == "length"
    assert answer["usage"]["outputTokens"] <= most.tokens_output == 60
    assert answer["usage"]["inputTokens"] <= most.tokens_input


async def test_a_stream_that_breaks_leaves_what_was_delivered(services: Services) -> None:
    progress: list[Progress] = []
    fault, meter = await executed(services, {"content": "Explain [simulate cut]"}, progress)
    assert isinstance(fault, ProviderFailed)
    assert meter.bytes_delivered > 0
    assert not meter.is_complete
    assert len(progress) > 1


async def test_a_tool_call_comes_back_in_the_shape_that_can_be_given_back(services: Services) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    options = {"tools": [tool], "toolChoice": "required"}
    question = {"role": "user", "content": "How is the weather?"}
    first, _ = await executed(services, {"messages": [question], "options": options})
    assert first["finishReason"] == "tool_calls"
    [call] = first["toolCalls"]
    assert call["function"]["name"] == "weather"
    answered = [
        question,
        {"role": "assistant", "content": first["content"], "tool_calls": first["toolCalls"]},
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
    second, _ = await executed(services, {"messages": answered, "options": {"tools": [tool]}})
    assert second["success"] is True


@pytest.mark.parametrize("status", [429, 500])
async def test_a_provider_that_refuses_is_a_fault_before_any_output(services: Services, status: int) -> None:
    progress: list[Progress] = []
    fault, meter = await executed(services, {"content": f"x [simulate error-{status}]"}, progress)
    assert isinstance(fault, Fault)
    assert progress == []
    assert meter.bytes_delivered == 0
