"""executeAIRequest over the vendors' real wires, against a provider on loopback: every vendor gives the same kind of result."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import pytest

from methods.context import Context, Services
from methods.progress import Progress, RunStarted
from methods.providers.building import ProviderConfig, build_providers
from methods.providers.names import RoutingConfig
from methods.providers.session import open_session
from monetization.callers import Caller, Secret
from monetization.calls import Call, Credential
from monetization.tab import Meter
from storage.errors import Fault
from tests.fakes.provider import FakeProvider
from tests.methods.ai.support import services_of

Kind = Literal["openai", "anthropic", "google"]
KINDS: tuple[Kind, ...] = ("openai", "anthropic", "google")


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as fake:
        yield fake


@pytest.fixture
async def services(fake: FakeProvider) -> AsyncIterator[Services]:
    bases: dict[Kind, str] = {"openai": f"{fake.url}/v1", "anthropic": fake.url, "google": fake.url}
    configs: dict[str, ProviderConfig] = {
        kind: ProviderConfig(kind, kind, api_key=Secret("operator-key"), base_url=base, models=("m",), retries=0)
        for kind, base in bases.items()
    }
    async with open_session() as session:
        router = build_providers(
            configs,
            routing=RoutingConfig(),
            session=session,
            clock=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
            random=lambda: 0.5,
        )
        yield services_of(router.providers, RoutingConfig(), models=dict.fromkeys(KINDS, ("m",)))


async def executed(services: Services, params: dict[str, Any], progress: list[Progress] | None) -> tuple[Any, Meter]:
    method = services.catalog.find("executeAIRequest")
    parsed = method.parse(params)
    assert method.most is not None
    meter = Meter()

    async def sink(batch: Sequence[Progress]) -> None:
        assert progress is not None
        progress.extend(batch)

    context = Context(
        Caller("subscription", user_id="u1").bringing(parsed.own_key),
        Call("executeAIRequest", params, Credential("none"), "req_1"),
        services,
        meter,
        None if progress is None else sink,
        method.most(services, parsed),
    )
    return await method.handler(context, parsed), meter


@pytest.mark.parametrize("kind", KINDS)
async def test_a_vendor_answers_the_same_whole_and_streamed(services: Services, kind: Kind) -> None:
    params = {"content": "Hello", "systemPrompt": "Be brief", "options": {"provider": kind, "maxTokens": 100}}
    progress: list[Progress] = []
    whole, whole_meter = await executed(services, params, None)
    streamed, streamed_meter = await executed(services, params, progress)
    assert whole["content"]
    assert (streamed["content"], streamed["finishReason"]) == (whole["content"], whole["finishReason"])
    assert streamed["usage"] == whole["usage"]
    assert whole["provider"] == kind
    assert isinstance(progress[0], RunStarted)
    assert whole_meter.bytes_delivered == streamed_meter.bytes_delivered == len(whole["content"].encode())
    assert whole_meter.is_complete
    assert streamed_meter.is_complete


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_is_checked_with_the_vendor(services: Services, fake: FakeProvider, kind: Kind) -> None:
    method = services.catalog.find("validateProvider")
    caller = Caller("subscription", user_id="u1")
    for key, is_valid in (("some-key", True), (fake.bad_key, False)):
        params = {"provider": kind, "apiKey": key}
        context = Context(caller, Call("validateProvider", params, Credential("none"), "r"), services, Meter(), None)
        answer: Any = await method.handler(context, method.parse(params))
        assert answer.is_valid is is_valid
    assert {seen.method for seen in fake.seen} == {"GET"}, "nothing is generated to check a key"


@pytest.mark.parametrize("kind", KINDS)
async def test_an_own_key_reaches_the_vendor_in_the_place_of_the_operators(
    services: Services, fake: FakeProvider, kind: Kind
) -> None:
    await executed(services, {"content": "Hello", "apiKey": "own-key", "options": {"provider": kind}}, None)
    sent = " ".join(fake.seen[-1].headers.values()) + fake.seen[-1].path
    assert "own-key" in sent
    assert "operator-key" not in sent
    with pytest.raises(Fault) as refused:
        await executed(services, {"content": "Hello", "apiKey": fake.bad_key, "options": {"provider": kind}}, None)
    assert fake.bad_key not in str(refused.value) + repr(refused.value.data)
