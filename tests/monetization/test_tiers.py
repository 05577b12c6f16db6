"""Tiers: built-in ones, aliases, overrides key by key."""

import pytest

from monetization.tiers import BUILT_IN, Tier, Tiers, merged
from server.config import ConfigError, Settings
from server.from_settings import tiers_of


def test_the_built_in_tiers_answer_to_their_aliases() -> None:
    tiers = Tiers(BUILT_IN, default="free")
    assert tiers.key_of("pro") == tiers.key_of("growth") == "professional"
    assert tiers.key_of("platinum") is None
    assert tiers.of("platinum").key == "free"


def test_one_full_request_always_fits_into_a_minute_of_every_paid_tier() -> None:
    for tier in BUILT_IN:
        if tier.policy != "byok":
            assert tier.tpm is not None
            assert tier.max_tokens_per_request is not None
            assert tier.tpm >= tier.max_tokens_per_request, tier.key


def test_an_override_changes_only_the_keys_it_names() -> None:
    tiers = {tier.key: tier for tier in merged({"starter": {"rpm": 60}}, policy="credits")}
    built_in = next(tier for tier in BUILT_IN if tier.key == "starter")
    assert tiers["starter"].rpm == 60
    assert tiers["starter"].tpm == built_in.tpm
    assert tiers["starter"].policy == "credits"
    assert tiers["anonymous"].policy == "byok"


def test_any_tier_name_works_and_starts_without_limits() -> None:
    tiers = {tier.key: tier for tier in merged({"student": {"monthly_token_quota": 5_000}}, policy="allowance")}
    assert tiers["student"] == Tier("student", "Student", monthly_token_quota=5_000)


@pytest.mark.parametrize("key", ["Premium Plus", "étudiant", "PRO", "team.v2", "学生", "x" * 64, "9"])
def test_a_tiers_key_is_any_printable_name_and_shown_as_it_is(key: str) -> None:
    settings = Settings.of({"tiers": {key: {"rpm": 7}}})
    tier = tiers_of(settings).of(key)
    assert (tier.key, tier.rpm, tier.name[1:]) == (key, 7, key[1:])


@pytest.mark.parametrize("key", ["", " pro", "pro ", "a=b", "a\nb", "x" * 65])
def test_a_tiers_key_that_no_file_or_command_could_name_is_refused(key: str) -> None:
    with pytest.raises(ConfigError):
        Settings.of({"tiers": {key: {"rpm": 7}}})


def test_clashing_aliases_and_an_unknown_default_are_refused() -> None:
    with pytest.raises(ValueError, match="already names tier"):
        Tiers([*BUILT_IN, Tier("x", "X", aliases=("pro",))], default="free")
    with pytest.raises(ValueError, match="default_tier"):
        Tiers(BUILT_IN, default="platinum")


def test_at_least_a_tier_follows_the_order_and_aliases_and_puts_others_beside_it() -> None:
    tiers = Tiers([*BUILT_IN, Tier("student", "Student")], default="free")
    assert tiers.is_at_least("enterprise", "pro")
    assert tiers.is_at_least("growth", "professional")
    assert not tiers.is_at_least("starter", "professional")
    assert tiers.is_at_least("student", "student")
    assert not tiers.is_at_least("student", "free")
    assert not tiers.is_at_least("enterprise", "student")
    assert not tiers.is_at_least("enterprise", "no such tier")
    assert tiers.rank("student") is None


def test_the_operator_orders_tiers_as_they_are_meant_not_as_they_are_priced() -> None:
    tiers = Tiers([*BUILT_IN, Tier("student", "Student")], default="free", order=("professional", "student"))
    assert tiers.is_at_least("student", "professional")
    assert not tiers.is_at_least("enterprise", "professional")


@pytest.mark.parametrize(("order", "problem"), [(("free", "gold"), "no tier 'gold'"), (("pro", "growth"), "twice")])
def test_an_order_that_cannot_be_is_refused(order: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=rf"charging.tier_order: .*{problem}"):
        Tiers(BUILT_IN, default="free", order=order)
