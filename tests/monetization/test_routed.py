"""What a plan leaves of a route, what a call on it may cost, and what it saved: for all plans, routes and usages."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.providers.choosing import Chooser
from methods.providers.latencies import Latencies
from methods.providers.names import RoutingConfig
from methods.providers.routing import Router
from monetization.callers import Caller, Secret
from monetization.charging.policies import Rules
from monetization.entitlements import Entitlements
from monetization.errors import NotEntitled
from monetization.prices.book import PriceBook, Table
from monetization.prices.rates import Price, rates_from
from monetization.quoting import Quote, Quotes
from monetization.terms import Choice, Most, Route, Target, Terms
from monetization.tiers import Policy, Tier, Tiers
from storage.records.usage import Usage

# Any: strategies of anything.

METERED: Final = Terms(is_metered=True)
TARGETS: Final = tuple(Target(provider, f"m{number}", provider) for provider in "ab" for number in range(3))
RATES: Final = {target: 1_000_000 * (1 + index) ** 3 for index, target in enumerate(TARGETS)}
BOOK: Final = PriceBook([Table({
    f"{t.provider}/{t.model}": (Price(t.model, f"v:{t.model}", 0, rates_from(input=RATES[t], output=4 * RATES[t])),)
    for t in TARGETS
})])  # fmt: skip


class Costs:
    def cost(self, target: Target, most: Most) -> int | None:
        return BOOK.likely(target, most, 1)


def choosing(tiers: Tiers, *, random: Any = lambda: 0.5, substitutes: dict[str, str] | None = None) -> Entitlements:
    from tests.methods.providers.fakes import ListProvider  # noqa: PLC0415  # the floor above, in a test of both

    router = Router(
        {name: ListProvider("x", name=name, kind=name) for name in "ab"},
        models={name: ["m0", "m1", "m2"] for name in "ab"},
        routing=RoutingConfig(substitutes={"t": substitutes or {}}),
        chooser=Chooser(random=random, latencies=Latencies((), lambda: 0.0), costs=Costs()),
        clock=lambda: 0.0,
    )
    return Entitlements(lambda: tiers, "byok", choose=router.choose)


def quotes(tiers: Tiers, **rules: Any) -> Quotes:
    return Quotes(lambda: tiers, lambda: BOOK, replace(Rules(), **rules), lambda _model, _at: None, lambda: 1)


def tiers_of(policy: Policy = "credits", *, models: Sequence[str] = (), providers: Sequence[str] = ()) -> Tiers:
    tier = Tier("t", "T", policy=policy, models=frozenset(models), providers=frozenset(providers))
    return Tiers([tier], default="t", order=["t"])


CALLER: Final = Caller("subscription", user_id="ada", tier="t")
routes = st.builds(
    lambda targets, equals, choice: Route(
        tuple(targets[:equals]),
        tuple(targets[equals:]),
        targets[0],
        choice=choice,
        weights=(1,) * len(targets[:equals]),
    ),
    st.lists(st.sampled_from(TARGETS), min_size=1, max_size=6, unique=True),
    st.integers(1, 6),
    st.sampled_from(get_args(Choice)),
)
models = st.lists(st.sampled_from(["m0", "m1", "m2", "m*"]), max_size=3)


@settings(deadline=None)
@given(
    route=routes,
    of_tier=models,
    of_key=models,
    providers=st.lists(st.sampled_from("ab"), max_size=1),
    substitutes=st.dictionaries(
        st.sampled_from(["m0", "a/m1", "m*"]), st.sampled_from([f"{t.provider}/{t.model}" for t in TARGETS]), max_size=2
    ),
    draws=st.randoms(use_true_random=False),
)
def test_no_choice_and_no_substitute_leaves_what_a_plan_and_a_key_include(
    route: Route, of_tier: list[str], of_key: list[str], providers: list[str], substitutes: dict[str, str], draws: Any
) -> None:
    tiers = tiers_of(models=of_tier, providers=providers)
    tier = tiers.default
    caller = replace(CALLER, models=frozenset(of_key))
    known = Most(route.targets, 10, 10, route=route)
    try:
        most = choosing(tiers, random=draws.random, substitutes=substitutes).check(caller, METERED, known)
    except NotEntitled:
        return
    assert most.targets
    for target in most.targets:
        assert tier.includes_model(target.model)
        assert tier.includes_provider(target.provider)
        assert not of_key or replace(tier, models=caller.models).includes_model(target.model)
    assert most.route is not None
    assert most.targets[0] in most.route.equals, "a fallback is no answer to what was asked for"
    assert most.route.asked == route.asked


@settings(deadline=None)
@given(
    route=routes,
    policy=st.sampled_from(["allowance", "virtual_tokens", "credits"]),
    served=st.integers(0, 5),
    used_in=st.integers(0, 1_000),
    used_out=st.integers(0, 500),
    rounding=st.sampled_from([None, "ceil", "floor_carry"]),
)
def test_whoever_serves_charges_at_most_the_quote_and_the_saving_is_the_difference(
    route: Route, policy: Policy, served: int, used_in: int, used_out: int, rounding: Any
) -> None:
    tiers = tiers_of(policy)
    most = choosing(tiers).check(CALLER, METERED, Most(route.targets, 1_000, 500, route=route))
    quote = quotes(tiers, rounding=rounding).quote(CALLER, most)
    target = most.targets[served % len(most.targets)]
    usage = Usage(input=used_in, output=used_out)
    charge, _ = quote.charged(target, usage)
    assert charge.amount <= quote.charge.amount
    assert charge.cost_nano <= quote.charge.cost_nano
    name, saving = quote.compared(target, usage, charge)
    if target == route.asked:
        assert (name, saving) == (None, None)
        return
    assert route.asked is not None
    instead, _ = quote.charged(route.asked, usage)
    assert name == f"{route.asked.provider}/{route.asked.model}"
    if policy == "credits":
        assert saving == instead.amount // 100 - charge.amount // 100, "a credit is worth a cent"
    else:
        assert saving == instead.cost_nano + instead.fee_nano - charge.cost_nano - charge.fee_nano


def test_a_call_routed_otherwise_and_a_route_with_fallbacks_lose_nothing_else() -> None:
    whatever: Any = {part.name: object() for part in fields(Most)}
    most = Most(**{**whatever, "targets": TARGETS[:1]})
    route: Any = Route(**{part.name: object() for part in fields(Route)})  # type: ignore[arg-type]  # same
    for made, wanted in (
        (most.routed(route, TARGETS), replace(most, route=route, targets=TARGETS)),
        (route.with_fallbacks(TARGETS), replace(route, fallbacks=TARGETS)),
    ):
        for part in fields(made):
            assert getattr(made, part.name) is getattr(wanted, part.name), part.name


def quoted(route: Route, policy: Policy = "credits", **rules: Any) -> Quote:
    tiers = tiers_of(policy)
    return quotes(tiers, **rules).quote(CALLER, Most(route.targets, 100, 100, route=route))


A, B = TARGETS[0], TARGETS[3]
USED: Final = Usage(input=10, output=5)


def test_a_saving_is_negative_where_what_was_asked_for_is_the_cheaper() -> None:
    for asked, served, saved in ((B, A, 1), (A, B, -1)):
        quote = quoted(Route((asked, served), asked=asked))
        charge, _ = quote.charged(served, USED)
        name, saving = quote.compared(served, USED, charge)
        assert name == f"{asked.provider}/{asked.model}"
        assert saving is not None
        assert saving * saved > 0


def test_nothing_is_compared_where_nothing_else_was_asked_for_or_nobody_can_tell() -> None:
    alike = quoted(Route((A, B)))
    charge, _ = alike.charged(B, USED)
    assert alike.compared(B, USED, charge) == (None, None)
    assert alike.compared(None, USED, charge) == (None, None)
    unknown = quoted(Route((A,), asked=Target("a", "gone", "a")))
    assert unknown.compared(A, USED, charge) == ("a/gone", None)
    own = replace(quoted(Route((B,), asked=A)), policy="byok")
    assert own.compared(B, USED, charge) == ("a/m0", None)


@pytest.mark.parametrize("provider", ["a", "b"])
def test_an_own_key_stays_with_its_provider_and_nothing_is_chosen_for_it(provider: str) -> None:
    route = Route(TARGETS[:4], (TARGETS[4],), TARGETS[0], choice="cheapest")
    caller = CALLER.bringing(Secret("own"), provider)
    known = Most(route.targets, 10, 10, route=route)
    most = choosing(tiers_of(models=["m9"]), substitutes={"m*": "b/m0"}).check(caller, METERED, known)
    assert most.targets == tuple(target for target in route.targets if target.provider == provider)
    unnamed = choosing(tiers_of()).check(CALLER.bringing(Secret("own")), METERED, known)
    assert {target.provider for target in unnamed.targets} == {"a"}
