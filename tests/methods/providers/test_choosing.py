"""Names of the operator's own, and which of several equal models is asked first."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from random import Random
from typing import Any

import aiohttp
import pytest

from methods.errors import ProviderFailed, UnknownModel, UnknownProvider
from methods.providers.building import ProviderConfig, build_providers
from methods.providers.choosing import Chooser
from methods.providers.latencies import LOOK_AGAIN_SECONDS, Latencies
from methods.providers.names import Equivalents, RoutingConfig
from methods.providers.observing import Timing
from methods.providers.routing import Router
from monetization.terms import Most, Route, Target
from tests.fakes.provider import FakeProvider
from tests.fakes.scripts import Script
from tests.methods.providers.conftest import ask_for
from tests.methods.providers.fakes import Clock, ListProvider

# Any: routing as each test writes it.

A, B, C = Target("a", "m", "a"), Target("b", "n", "b"), Target("c", "o", "c")
LISTS = {"a": ["m", "m2"], "b": ["n"], "c": ["o"], "open": []}


class Prices:
    """What is priced, by target, and how often somebody asked."""

    def __init__(self, costs: Mapping[Target, int | None]) -> None:
        self.costs = costs

    def cost(self, target: Target, most: Most) -> int | None:
        del most
        return self.costs.get(target)

    def knows(self, target: Target) -> bool:
        return target.model.startswith("priced") or target in self.costs

    def models(self, provider: str, kind: str) -> Iterable[str]:
        del provider, kind
        return ()


def is_well(name: str, ill: frozenset[str]) -> bool:
    return name not in ill


def router_of(
    prices: Mapping[Target, int | None] | None = None,
    *,
    latencies: Latencies | None = None,
    ill: frozenset[str] = frozenset(),
    **routing: Any,
) -> Router:
    book = Prices(prices or {})
    chooser = Chooser(
        random=Random(7).random,  # noqa: S311  # chance that can be repeated
        latencies=latencies or Latencies((), Clock()),
        costs=book,
        is_well={name: partial(is_well, name, ill) for name in LISTS},
    )
    providers = {name: ListProvider("x", name=name, kind=name) for name in LISTS}
    said = RoutingConfig(**{"default_provider": "c", **routing})
    return Router(dict(providers), models=LISTS, routing=said, catalogue=book, chooser=chooser, clock=Clock())


def chosen(router: Router, model: str, *, provider: str | None = None, tier: str = "free") -> tuple[Target, ...]:
    route = router.route(provider, model)
    return router.choose(tier, Most(route.targets, 10, 10, route=route)).targets


# Names -----------------------------------------------------------------------------------------------------------------


def test_an_alias_stands_for_a_model_also_in_the_place_of_its_own_name() -> None:
    router = router_of(aliases={"smart": {"a/m": 1}, "n": {"a/m2": 1}})
    assert chosen(router, "smart") == (A,)
    assert chosen(router, "n") == (Target("a", "m2", "a"),)
    assert chosen(router, "b/n") == (B,), "the long name stays what it is"
    assert router.route(None, "smart") == Route((A,), asked=A, name="smart")
    assert router.aliases == ("smart", "n")


def test_patterns_come_after_lists_and_before_prices_and_the_first_that_fits_counts() -> None:
    patterns = {"priced-x*": "open", "priced*": "a", "n*": "open", "*": "open"}
    router = router_of(patterns=patterns)
    assert chosen(router, "n") == (B,)
    assert chosen(router, "priced-x1") == (Target("open", "priced-x1", "open"),)
    assert chosen(router, "priced-y") == (Target("open", "priced-y", "open"),), "a lists its models, and this is none"
    for unknown in ("nothing", "x/n", "a/nothing"):
        with pytest.raises(UnknownModel):
            router.route(None, unknown)


def test_a_named_provider_keeps_a_call_to_itself() -> None:
    router = router_of(
        {A: 9, B: 1},
        aliases={"any": {"a/m": 1, "b/n": 1}, "m": {"b/n": 1}},
        equivalents={"x": Equivalents(("a/m", "b/n"), "cheapest")},
    )
    assert chosen(router, "any", provider="b") == (B,)
    assert chosen(router, "m", provider="a") == (A,), "an alias without a target there is no alias there"
    assert chosen(router, "a/m") == (A,)
    with pytest.raises(UnknownModel):
        router.route("c", "any")


def test_an_alias_has_fallbacks_of_its_own_or_those_of_its_first_model() -> None:
    aliases = {"any": {"a/m": 1, "b/n": 1}, "one": {"a/m": 1}, "last": {"c/o": 1}}
    router = router_of(aliases=aliases, fallbacks={"any": ["last"], "m": ["n", "m2"]})
    assert router.resolve(None, "any") == (A, B, C)
    assert router.resolve(None, "one") == (A, B, Target("a", "m2", "a"))


def test_routing_to_a_provider_that_is_not_there_fails_at_the_start() -> None:
    for routing in ({"aliases": {"x": {"nobody/m": 1}}}, {"substitutes": {"free": {"m": "nobody/m"}}},
                    {"equivalents": {"x": Equivalents(("a/m", "nobody/m"), "fastest")}}):  # fmt: skip
        with pytest.raises(UnknownProvider):
            router_of(**routing)


# Choice ----------------------------------------------------------------------------------------------------------------


def test_weights_are_the_shares_of_calls_also_among_those_that_a_plan_leaves() -> None:
    router = router_of(aliases={"any": {"a/m": 6, "b/n": 3, "c/o": 1}})
    rounds = 6_000
    orders = [chosen(router, "any") for _ in range(rounds)]
    firsts = Counter(order[0] for order in orders)
    assert {target: round(firsts[target] / rounds, 1) for target in (A, B, C)} == {A: 0.6, B: 0.3, C: 0.1}
    without_a = Counter(next(target for target in order if target != A) for order in orders)
    assert without_a[B] / rounds == pytest.approx(0.75, abs=0.03)
    assert all(sorted(order, key=str) == sorted((A, B, C), key=str) for order in orders)


def test_who_is_left_alone_comes_after_all_other_equals_and_before_the_fallbacks() -> None:
    aliases = {"any": {"a/m": 1_000_000, "b/n": 1}}
    router = router_of(aliases=aliases, fallbacks={"any": ["c/o"]}, ill=frozenset({"a"}))
    assert {chosen(router, "any") for _ in range(20)} == {(B, A, C)}


def test_the_cheapest_of_equivalent_models_is_asked_and_what_has_no_price_is_no_choice() -> None:
    group = {"x": Equivalents(("b/n", "a/m", "c/o"), "cheapest")}
    assert chosen(router_of({A: 5, B: 3, C: 4}, equivalents=group), "m") == (B, C, A)
    assert chosen(router_of({A: 3, B: 3, C: 3}, equivalents=group), "m")[0] == A, "as asked where nothing is cheaper"
    assert chosen(router_of({A: 5, B: None, C: 4}, equivalents=group), "m") == (C, A)
    assert chosen(router_of({}, equivalents=group), "m") == (A, B, C)
    assert chosen(router_of({A: 5, B: 3, C: 4}, equivalents=group, ill=frozenset({"b"})), "m") == (C, A, B)
    assert chosen(router_of({A: 5}, equivalents=group), "m2") == (Target("a", "m2", "a"),)


def test_an_alias_of_one_model_is_chosen_for_as_that_model_is() -> None:
    group = {"x": Equivalents(("b/n", "a/m"), "cheapest")}
    router = router_of({A: 5, B: 3}, equivalents=group, aliases={"smart": {"a/m": 1}})
    assert chosen(router, "smart") == (B, A)
    assert router.route(None, "smart").asked == A


def test_the_fastest_is_who_answered_soonest_lately() -> None:
    clock = Clock()
    latencies = Latencies([("a", "m"), ("b", "n")], clock)
    router = router_of(latencies=latencies, equivalents={"x": Equivalents(("a/m", "b/n", "c/o"), "fastest")})

    def ask(target: Target, seconds: float) -> None:
        latencies.begins(target.provider, target.model)
        clock.now += seconds
        latencies.answered(target.provider, target.model, seconds)

    assert chosen(router, "m") == (A, B, C), "nobody is known"
    latencies.begins("a", "m")
    assert chosen(router, "m")[0] == B, "while the first answers, the other is tried"
    ask(A, 2.0)
    ask(B, 0.5)
    assert chosen(router, "m") == (B, A, C)
    for _ in range(20):
        ask(B, 4.0)
    assert chosen(router, "m") == (A, B, C)
    latencies.answered("c", "o", 0.001)
    assert latencies.rank(C) == float("inf"), "only what was named at the start is remembered"


def test_who_was_not_asked_for_a_while_is_tried_once_and_believed_at_once() -> None:
    clock = Clock()
    latencies = Latencies([("a", "m"), ("b", "n")], clock)
    for _ in range(5):
        latencies.answered("a", "m", 1.0)
        latencies.answered("b", "n", 3.0)
    clock.now += LOOK_AGAIN_SECONDS
    latencies.answered("a", "m", 1.0)
    assert latencies.rank(B) < 0 < latencies.rank(A)
    latencies.begins("b", "n")
    assert latencies.rank(B) > latencies.rank(A), "the next one waits for what that one brings"
    latencies.answered("b", "n", 0.2)
    assert latencies.rank(B) < latencies.rank(A)


async def test_who_fails_at_once_is_not_fast() -> None:
    clock = Clock()
    latencies = Latencies([("a", "m"), ("b", "n")], clock)
    failing = Timing(ListProvider(ProviderFailed("no"), name="a"), latencies, clock)
    latencies.answered("b", "n", 1.0)
    with pytest.raises(ProviderFailed):
        await failing.complete(ask_for("m"))
    with pytest.raises(ProviderFailed):
        async with failing.stream(ask_for("m")):
            pass
    assert latencies.rank(A) > latencies.rank(B)


def test_what_stands_in_for_a_model_is_declared_equivalents_before_fallbacks() -> None:
    router = router_of(equivalents={"x": Equivalents(("a/m", "b/n"), "cheapest")}, fallbacks={"m": ["n", "c/o"]})
    assert router.in_place_of(A) == (B, C)
    assert router.in_place_of(B) == (A,)
    assert router.in_place_of(C) == ()


# Substitutes -----------------------------------------------------------------------------------------------------------


def test_a_tier_is_served_by_what_the_operator_puts_in_the_place_of_a_model() -> None:
    router = router_of(
        aliases={"smart": {"a/m2": 1}, "any": {"a/m": 1, "b/n": 1}},
        fallbacks={"c/o": ["b/n"]},
        substitutes={"free": {"m": "c/o", "smart": "a/m", "any": "b/n", "priced*": "any"}},
        patterns={"priced*": "open"},
    )
    assert chosen(router, "m") == (C, B), "with its own fallbacks"
    assert chosen(router, "m", tier="pro") == (A,)
    assert chosen(router, "smart") == (A,), "which is not replaced again"
    assert chosen(router, "any") == (B,)
    assert set(chosen(router, "priced1")) == {A, B}
    route = router.route(None, "m")
    most = router.choose("free", Most(route.targets, route=route))
    assert most.route is not None
    assert most.route.asked == A
    assert most.route.equals == (C,)


def test_a_call_without_a_route_is_left_as_it_is() -> None:
    router = router_of(substitutes={"free": {"m": "c/o"}})
    most = Most((A, B))
    assert router.choose("free", most) is most


# Built -----------------------------------------------------------------------------------------------------------------


async def test_the_built_router_measures_and_leaves_a_broken_provider_for_last(
    fake: FakeProvider, session: aiohttp.ClientSession
) -> None:
    clock = Clock()

    def config(name: str, models: tuple[str, ...]) -> ProviderConfig:
        return ProviderConfig(name, "openai", base_url=f"{fake.url}/v1", models=models, retries=0, breaker_failures=1)

    routing = RoutingConfig(
        equivalents={"x": Equivalents(("one/m", "two/n"), "fastest")}, aliases={"any": {"one/m": 9, "two/n": 1}}
    )
    router = build_providers(
        {"one": config("one", ("m",)), "two": config("two", ("n",))},
        routing=routing, session=session, clock=clock, sleep=clock.sleep,
        random=Random(1).random,  # noqa: S311  # chance that can be repeated
    )  # fmt: skip

    async def serve(model: str) -> Target:
        served: list[Target] = []
        async with router.stream(chosen(router, model), ask_for("m"), served.append) as batches:
            assert [events async for events in batches]
        return served[-1]

    assert [await serve("m") for _ in range(2)] == [Target("one", "m", "openai"), Target("two", "n", "openai")], (
        "each is measured once"
    )
    fake.scripts.append(Script(status=500))
    first = chosen(router, "m")[0]
    assert await serve("m") != first, "the other one served"
    assert {chosen(router, "any")[-1] for _ in range(9)} == {first}, "nobody begins with a provider that is left alone"
