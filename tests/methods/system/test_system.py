"""The methods about the server itself."""

from typing import Any

import pytest

from methods.all_methods import METHODS
from methods.catalog import Catalog
from methods.context import Context
from methods.errors import InvalidParams, Unauthenticated, UnknownProvider
from methods.method import Access, to_wire
from methods.system import METHODS as SYSTEM
from monetization.callers import Caller
from monetization.calls import Call, Credential
from monetization.tab import Meter
from tests.methods.ai.support import Bench


async def test_ping_answers_with_the_servers_time(bench: Bench) -> None:
    run = await bench.run("ping", None)
    assert to_wire(run.answer) == b'{"pong":true,"timestamp":"2023-11-14T22:13:20Z"}'


async def test_health_shows_the_report_of_the_process(bench: Bench) -> None:
    run = await bench.run("health", {})
    assert run.answer.model_dump(by_alias=True) == {
        "status": "healthy",
        "timestamp": "2023-11-14T22:13:20Z",
        "version": "1.2.3",
        "uptimeSeconds": 5,
    }


async def test_discover_gives_the_whole_description(bench: Bench) -> None:
    run = await bench.run("rpc.discover", [])
    assert run.answer["openrpc"] == "1.3.2"
    assert "executeAIRequest" in {method["name"] for method in run.answer["methods"]}


async def test_providers_are_listed_without_their_credentials(bench: Bench) -> None:
    run = await bench.run("listProviders", {})
    assert run.answer.model_dump(by_alias=True) == {
        "providers": (
            {"name": "a", "kind": "openai", "models": 2, "isConfigured": True, "isDefault": True},
            {"name": "b", "kind": "anthropic", "models": 2, "isConfigured": True, "isDefault": False},
        ),
        "source": "configuration",
        "lastUpdated": "2023-11-14T22:13:20Z",
    }


async def test_models_are_listed_for_one_provider_or_for_all(bench: Bench) -> None:
    one = await bench.run("listAllowedModels", {"provider": "b"})
    assert to_wire(one.answer) == b'{"provider":"b","models":["m","n"],"count":2}'
    every = await bench.run("ai.listAllowedModels", {})
    assert to_wire(every.answer) == b'{"models":["m","n"],"count":2,"byProvider":{"a":["m","n"],"b":["m","n"]}}'
    unknown = await bench.run("listAllowedModels", {"provider": "nope"})
    assert isinstance(unknown.fault, UnknownProvider)


async def test_a_key_is_judged_by_the_provider_itself(bench: Bench) -> None:
    good = await bench.run("validateProvider", {"provider": "a", "apiKey": "good"})
    bad = await bench.run("validateProvider", {"provider": "a", "apiKey": "a-very-long-key-that-is-wrong"})
    assert (good.answer.is_valid, bad.answer.is_valid) == (True, False)
    assert "a-very-long-key" not in bad.answer.model_dump_json()
    unknown = await bench.run("validateProvider", {"provider": "nope", "apiKey": "good"})
    assert isinstance(unknown.fault, UnknownProvider)
    with pytest.raises(InvalidParams):
        await bench.run("validateProvider", {"provider": "a", "apiKey": "two words"})


def test_strangers_cannot_try_keys() -> None:
    catalog = Catalog(METHODS)
    method = catalog.find("validateProvider")
    with pytest.raises(Unauthenticated):
        method.authorize(Caller("anonymous"), catalog.access[method.name])


@pytest.mark.parametrize("rpc_id", ["r-1", 7, 0, 1.5])
async def test_a_running_call_of_the_same_caller_is_cancelled_by_its_id(bench: Bench, rpc_id: Any) -> None:
    caller = Caller("subscription", user_id="u1")
    asked: list[tuple[Caller, object]] = []

    class One:
        def cancel(self, caller: Caller, rpc_id: str | float) -> bool:
            asked.append((caller, rpc_id))
            return True

    method = Catalog(METHODS).find("cancelRequest")
    services = bench.services
    context = Context(caller, Call("cancelRequest", None, Credential("none"), "req_2"), services, Meter(), None)
    assert (await bench.run("cancelRequest", {"id": rpc_id})).answer.cancelled is False
    running = type(services)(**{name: getattr(services, name) for name in services.__slots__} | {"running": One()})
    context = Context(caller, context.call, running, Meter(), None)
    answer = await method.handler(context, method.parse({"id": rpc_id}))
    assert to_wire(answer) == b'{"cancelled":true}'
    assert asked == [(caller, rpc_id)]
    assert type(asked[0][1]) is type(rpc_id)


@pytest.mark.parametrize("wrong", [None, True, [], {}])
async def test_an_id_that_no_request_can_have_is_refused(bench: Bench, wrong: object) -> None:
    with pytest.raises(InvalidParams):
        await bench.run("cancelRequest", {"id": wrong})


def test_only_what_strangers_may_know_is_public() -> None:
    public = {method.name for method in SYSTEM if method.access is Access.PUBLIC}
    assert public == {"ping", "health", "rpc.discover"}


@pytest.mark.parametrize("method", SYSTEM, ids=lambda method: method.name)
async def test_every_example_can_be_sent(bench: Bench, method: Any) -> None:
    for example in method.examples:
        params = {**example.params}
        if "provider" in params:
            params["provider"] = "a"
        run = await bench.run(method.name, params)
        assert run.fault is None
        answer = run.answer.model_dump(by_alias=True, exclude_none=True)
        assert set(example.result) <= set(answer)
