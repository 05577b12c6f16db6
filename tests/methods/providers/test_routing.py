"""Which targets serve a request, and who is asked when the first one fails."""

import gc
import weakref
from collections.abc import Iterable
from contextlib import suppress

import aiohttp
import pytest

from methods.dialects.canonical import ChatReply
from methods.errors import InvalidParams, ProviderFailed, Unauthenticated, UnknownModel, UnknownProvider
from methods.providers.base import Ask
from methods.providers.building import ProviderConfig, build_providers
from methods.providers.names import RoutingConfig
from methods.providers.routing import Router
from monetization.callers import Secret
from monetization.terms import Target
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.methods.providers.conftest import ask_for
from tests.methods.providers.fakes import Clock, ListProvider


class Priced:
    """A catalogue with a few models."""

    def __init__(self, **by_kind: list[str]) -> None:
        self.by_kind = by_kind

    def knows(self, target: Target) -> bool:
        return target.model in self.by_kind.get(target.kind, [])

    def models(self, provider: str, kind: str) -> Iterable[str]:
        del provider
        return self.by_kind.get(kind, [])


def router_of(
    models: dict[str, list[str]], catalogue: Priced | None = None, **routing: object
) -> tuple[Router, dict[str, ListProvider]]:
    inner = {name: ListProvider(f"from {name}", name=name, kind=name.partition("-")[0]) for name in models}
    made = RoutingConfig(**routing)  # type: ignore[arg-type]  # as each test wants it
    return Router(dict(inner), models=models, routing=made, catalogue=catalogue, clock=lambda: 0.0), inner


BOTH = {"openai": ["gpt-4o", "gpt-4-turbo"], "anthropic": ["claude"]}


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4-turbo", Target("openai", "gpt-4-turbo", "openai")),
        ("openai", "openai/gpt-4o", Target("openai", "gpt-4o", "openai")),
        (None, "claude", Target("anthropic", "claude", "anthropic")),
        (None, "openai/gpt-4o", Target("openai", "gpt-4o", "openai")),
        ("openai", None, Target("openai", "gpt-4o", "openai")),
        ("anthropic", None, Target("anthropic", "claude", "anthropic")),
        (None, None, Target("anthropic", "claude", "anthropic")),
    ],
)
def test_names_resolve(provider: str | None, model: str | None, expected: Target) -> None:
    router, _ = router_of(BOTH, default_provider="anthropic", default_model="claude")

    assert router.resolve(provider, model) == (expected,)


def test_unknown_names_are_refused_with_advice() -> None:
    router, _ = router_of(BOTH)
    with pytest.raises(UnknownProvider, match="listProviders"):
        router.resolve("nobody", None)
    for provider, model in [("openai", "claude"), (None, "nothing"), (None, "openai/claude"), (None, None)]:
        with pytest.raises(UnknownModel, match="listAllowedModels"):
            router.resolve(provider, model)


def test_an_empty_list_means_every_model_with_a_price() -> None:
    catalogue = Priced(openai=["o4"], google=["gemini"])
    router, _ = router_of({"openai": [], "google": []}, catalogue)

    assert router.resolve(None, "gemini") == (Target("google", "gemini", "google"),)
    assert router.models("openai") == ["o4"]
    with pytest.raises(UnknownModel):
        router.resolve("openai", "gemini")


def test_without_a_catalogue_the_default_provider_takes_any_name() -> None:
    router, _ = router_of({"openai": [], "anthropic": ["claude"]}, default_provider="openai")

    assert router.resolve(None, "new-model") == (Target("openai", "new-model", "openai"),)


def test_fallbacks_follow_the_first_choice() -> None:
    router, _ = router_of(BOTH, fallbacks={"gpt-4o": ["claude", "openai/gpt-4-turbo", "gpt-4o"]})

    assert [target.model for target in router.resolve(None, "gpt-4o")] == ["gpt-4o", "claude", "gpt-4-turbo"]


async def test_a_failure_before_output_moves_on_and_tells_who_serves() -> None:
    router, inner = router_of(BOTH, fallbacks={"gpt-4o": ["claude"]})
    inner["openai"].items = [ProviderFailed("no")]
    targets = router.resolve(None, "gpt-4o")
    heard: list[Target] = []

    assert (await router.complete(targets, ask_for("gpt-4o"), heard.append)).text == "from anthropic"
    async with router.stream(targets, ask_for("gpt-4o"), heard.append) as batches:
        assert [events async for events in batches]
    assert heard == [*targets, *targets]
    assert [ask.request.model for ask in inner["anthropic"].asked] == ["claude", "claude"]


@pytest.mark.parametrize("fault", [InvalidParams("no"), Unauthenticated("no")])
async def test_what_is_wrong_everywhere_does_not_move_on(fault: Exception) -> None:
    router, inner = router_of(BOTH, fallbacks={"gpt-4o": ["claude"]})
    inner["openai"].items = [fault]
    with pytest.raises(type(fault)):
        await router.complete(router.resolve(None, "gpt-4o"), ask_for(), lambda _: None)

    assert inner["anthropic"].asked == []


async def test_after_output_nobody_else_is_asked() -> None:
    router, inner = router_of(BOTH, fallbacks={"gpt-4o": ["claude"]})
    inner["openai"].items = [["some", ProviderFailed("no")]]

    async def read() -> None:
        async with router.stream(router.resolve(None, "gpt-4o"), ask_for(), lambda _: None) as batches:
            async for _ in batches:
                pass

    with pytest.raises(ProviderFailed):
        await read()
    assert inner["anthropic"].asked == []


async def test_an_own_key_never_crosses_to_another_provider() -> None:
    router, inner = router_of(BOTH, fallbacks={"gpt-4o": ["claude"]})
    inner["openai"].items = [ProviderFailed("no")]
    with pytest.raises(ProviderFailed):
        await router.complete(router.resolve(None, "gpt-4o"), ask_for(own_key=Secret("mine")), lambda _: None)

    assert inner["anthropic"].asked == []


async def test_the_built_router_retries_then_falls_back_and_reports(
    fake: FakeProvider, session: aiohttp.ClientSession
) -> None:
    clock = Clock()
    heard: list[tuple[str, str]] = []
    configs = {
        "mistral": ProviderConfig("mistral", "openai", base_url=f"{fake.url}/v1", models=("small",), retries=1),
        "simulator": ProviderConfig("simulator", "simulator"),
    }
    router = build_providers(
        configs,
        routing=RoutingConfig(fallbacks={"small": ["simulator"]}),
        session=session,
        clock=clock,
        sleep=clock.sleep,
        random=lambda: 0.5,
        observer=lambda name, outcome, _: heard.append((name, outcome)),
    )
    fake.script = Script(status=503)
    served: list[Target] = []
    reply = await router.complete(router.resolve(None, "small"), ask_for("small"), served.append)

    assert reply.model == served[-1].model == "simulator"
    assert heard == [("mistral", "provider_unavailable")] * 2 + [("simulator", "done")]
    assert "max_tokens" in fake.seen[0].json
    assert router.resolve("simulator", None)[0].model == "simulator"


async def test_what_a_compatible_vendor_differs_in_is_configured(
    fake: FakeProvider, session: aiohttp.ClientSession
) -> None:
    clock = Clock()
    own = ProviderConfig(
        "own", "openai", base_url=fake.url, max_tokens_field="max_completion_tokens", asks_stream_usage=False
    )
    router = build_providers(
        {"usual": ProviderConfig("usual", "openai", base_url=fake.url), "own": own},
        routing=RoutingConfig(),
        session=session,
        clock=clock,
        sleep=clock.sleep,
        random=lambda: 0.5,
    )
    for name in router.providers:
        async with router.stream(router.resolve(name, "m"), ask_for("m"), lambda _: None) as batches:
            assert [events async for events in batches] != []
    usual, different = (seen.json.keys() for seen in fake.seen)
    assert {"max_tokens", "stream_options"} <= usual
    assert "max_completion_tokens" in different
    assert not {"max_tokens", "stream_options"} & different


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (InvalidParams, "untranslatable"),
        (InvalidParams, "operation_unsupported"),
        (Unauthenticated, "own_key_required"),
    ],
)
async def test_who_cannot_be_asked_is_passed_over_and_hides_no_failure(
    kind: type[InvalidParams | Unauthenticated], reason: str
) -> None:
    three = {"openai": ["gpt-4o"], "anthropic": ["claude"], "google": ["gemini"]}
    router, inner = router_of(three, fallbacks={"gpt-4o": ["claude", "gemini"]})
    targets = router.resolve(None, "gpt-4o")
    busy, unsaid = ProviderFailed("busy"), kind("no", reason=reason)
    heard: list[Target] = []

    inner["openai"].items, inner["anthropic"].items = [busy], [unsaid]
    assert (await router.complete(targets, ask_for("gpt-4o"), heard.append)).text == "from google"
    inner["openai"].items = [unsaid]
    async with router.stream(targets, ask_for("gpt-4o"), heard.append) as batches:
        assert [events async for events in batches]
    assert heard == [*targets, *targets]

    for first, second, third, told, whose in (
        (busy, unsaid, unsaid, busy, targets[0]),
        (unsaid, busy, unsaid, busy, targets[1]),
        (unsaid, kind("other", reason=reason), unsaid, unsaid, targets[0]),
    ):
        inner["openai"].items, inner["anthropic"].items, inner["google"].items = [first], [second], [third]
        with pytest.raises(type(told)) as refused:
            await router.complete(targets, ask_for("gpt-4o"), heard.append)
        assert refused.value is told
        assert heard[-1] == whose


@pytest.mark.parametrize("refusal", [InvalidParams("too long"), UnknownModel("retired")])
async def test_what_a_stand_in_refuses_hides_no_failure_of_who_was_asked_first(refusal: Exception) -> None:
    three = {"openai": ["gpt-4o"], "anthropic": ["claude"], "google": ["gemini"]}
    router, inner = router_of(three, fallbacks={"gpt-4o": ["claude", "gemini"]})
    targets = router.resolve(None, "gpt-4o")
    busy = ProviderFailed("busy")
    inner["openai"].items, inner["anthropic"].items = [busy], [refusal]
    assert (await router.complete(targets, ask_for("gpt-4o"), lambda _: None)).text == "from google"
    inner["google"].items = [refusal]
    with pytest.raises(ProviderFailed, match="busy"):
        await router.complete(targets, ask_for("gpt-4o"), lambda _: None)

    inner["openai"].items = [InvalidParams("no", reason="untranslatable")]
    with pytest.raises(type(refusal)) as refused:  # the first that was asked has judged it
        await router.complete(targets, ask_for("gpt-4o"), lambda _: None)
    assert refused.value is refusal


class _Failing(ListProvider):
    """Fails with a new fault each time, and remembers them without keeping them."""

    def __init__(self) -> None:
        super().__init__("never")
        self.failed: list[weakref.ref[ProviderFailed]] = []

    def _fault(self) -> ProviderFailed:
        fault = ProviderFailed("no")
        self.failed.append(weakref.ref(fault))
        return fault

    async def complete(self, ask: Ask) -> ChatReply:
        del ask
        raise self._fault()


async def test_a_call_that_failed_everywhere_is_forgotten_at_once() -> None:
    failing = _Failing()
    router = Router(
        {"one": failing}, models={"one": ["a", "b"]}, routing=RoutingConfig(fallbacks={"a": ["b"]}), clock=float
    )
    gc.disable()  # a request in a ring of faults and frames would stay until the next look
    try:
        with suppress(ProviderFailed):
            await router.complete(router.resolve(None, "a"), ask_for("a"), lambda _: None)
        assert [fault() for fault in failing.failed] == [None, None]
    finally:
        gc.enable()
