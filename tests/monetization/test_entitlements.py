"""What a plan lets a call do: the payer rule, providers and models, the length of an answer."""

from dataclasses import replace

import pytest

from monetization.callers import Caller, Secret
from monetization.entitlements import Entitlements, Gate
from monetization.errors import NotEntitled, Unauthenticated
from monetization.terms import Most, Target, Terms
from monetization.tiers import BUILT_IN, Tier, Tiers

METERED = Terms(is_metered=True)
GPT = Target("openai", "gpt-4o", "openai")
CLAUDE = Target("anthropic", "claude-sonnet-4-5", "anthropic")
SMALL = Tier(
    "small",
    "Small",
    max_tokens_per_request=100,
    features=frozenset({"basic_ai"}),
    providers=frozenset({"openai"}),
    models=frozenset({"gpt-4*"}),
)


def entitlements(anonymous: str = "byok") -> Entitlements:
    tiers = Tiers([*BUILT_IN, SMALL], default="free")
    return Entitlements(
        lambda: tiers, "off" if anonymous == "off" else "byok", upgrade_url="https://app.example/upgrade"
    )


def subscriber(tier: str = "small") -> Caller:
    return Caller("subscription", user_id="u1", tier=tier)


def test_a_caller_without_a_payer_never_reaches_the_operators_key() -> None:
    with pytest.raises(Unauthenticated) as refused:
        entitlements().check(Caller("anonymous"), METERED, Most((GPT,), 10, 10))
    assert refused.value.slug == "credential_required"


def test_an_anonymous_caller_with_an_own_key_is_served_unless_that_is_switched_off() -> None:
    caller = Caller("anonymous").bringing(Secret("sk-own"))
    most = Most((GPT,), 10, 50_000)
    assert entitlements().check(caller, METERED, most) == most
    with pytest.raises(Unauthenticated) as refused:
        entitlements("off").check(caller, METERED, most)
    assert refused.value.slug == "anonymous_off"


def test_a_known_caller_with_an_own_key_is_served_even_where_anonymous_callers_are_not() -> None:
    caller = subscriber().bringing(Secret("sk-own"))
    most = Most((CLAUDE,), 10, 50_000)
    assert entitlements("off").check(caller, METERED, most) == most


@pytest.mark.parametrize(
    ("target", "reason"), [(CLAUDE, "model_not_in_tier"), (Target("openai", "o3"), "model_not_in_tier")]
)
def test_a_model_outside_the_tier_is_refused_and_named(target: Target, reason: str) -> None:
    with pytest.raises(NotEntitled) as refused:
        entitlements().check(subscriber(), METERED, Most((target,), 1, 1))
    assert refused.value.slug == reason
    assert target.model in str(refused.value)
    assert refused.value.data == {"tier": "small", "upgradeUrl": "https://app.example/upgrade"}


def test_a_fallback_outside_the_tier_is_dropped_silently() -> None:
    most = entitlements().check(subscriber(), METERED, Most((GPT, CLAUDE), 1, 1))
    assert most.targets == (GPT,)


def test_a_default_length_is_lowered_and_an_asked_one_refused() -> None:
    most = Most((GPT,), 1, 4096)
    assert entitlements().check(subscriber(), METERED, most).tokens_output == 100
    with pytest.raises(NotEntitled) as refused:
        entitlements().check(subscriber(), METERED, replace(most, is_output_asked=True))
    assert refused.value.slug == "max_tokens_over_tier"


def test_a_missing_feature_is_refused_unless_the_credential_names_it() -> None:
    terms = Terms(is_metered=True, feature="analytics")
    most = Most((GPT,), 1, 1)
    with pytest.raises(NotEntitled) as refused:
        entitlements().check(subscriber(), terms, most)
    assert refused.value.slug == "feature_not_in_tier"
    named = replace(subscriber(), features=frozenset({"analytics"}))
    assert entitlements().check(named, terms, most) == most


def test_an_unknown_tier_is_treated_as_the_default_one() -> None:
    most = entitlements().check(subscriber("no-such-tier"), METERED, Most((CLAUDE,), 1, 9_000))
    assert most.tokens_output == 4_000


def gated(**gate: str) -> Entitlements:
    return replace(entitlements(), gates={"getUsageHistory": Gate(**gate)})


def test_a_method_without_a_gate_is_open_to_every_plan() -> None:
    gate = gated(feature="analytics").gate
    gate(subscriber(), "getTokenBalance")
    with pytest.raises(NotEntitled):
        gate(subscriber(), "getUsageHistory")


def test_a_gate_asks_for_a_feature_of_the_tier_or_of_the_credential() -> None:
    gate = gated(feature="analytics").gate
    gate(subscriber("professional"), "getUsageHistory")
    gate(replace(subscriber(), features=frozenset({"analytics"})), "getUsageHistory")
    with pytest.raises(NotEntitled) as refused:
        gate(subscriber(), "getUsageHistory")
    assert refused.value.slug == "feature_not_in_tier"
    assert refused.value.data == {"tier": "small", "upgradeUrl": "https://app.example/upgrade"}


def test_a_gate_asks_for_a_tier_or_one_above_it() -> None:
    gate = gated(tier="starter").gate
    for tier in ("starter", "pro", "enterprise"):
        gate(subscriber(tier), "getUsageHistory")
    for tier in ("free", "small"):
        with pytest.raises(NotEntitled) as refused:
            gate(subscriber(tier), "getUsageHistory")
        assert refused.value.slug == "tier_too_low"


def test_the_operators_own_tools_pass_every_gate() -> None:
    gate = gated(tier="enterprise").gate
    gate(Caller("operator"), "getUsageHistory")
    with pytest.raises(NotEntitled):
        gate(subscriber("professional"), "getUsageHistory")
