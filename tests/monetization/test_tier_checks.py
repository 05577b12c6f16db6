"""What is allowed in a tier file but probably not meant."""

from dataclasses import replace

import pytest

from monetization.tier_checks import warnings
from monetization.tiers import BUILT_IN, Tier, Tiers

STUDENT = Tier("student", "Student", monthly_token_quota=5_000)


def told(tier: Tier, **more: object) -> list[str]:
    tiers = Tiers([*BUILT_IN, tier], default="free", order=("free", tier.key))
    found = warnings(tiers, **more)  # type: ignore[arg-type]  # the parameters of each case
    return [warning for warning in found if warning.startswith("tiers.student.")]


def test_r11_the_built_in_tiers_sell_no_overage_and_need_no_warning() -> None:
    assert all(tier.overage_nano_per_million is None for tier in BUILT_IN)
    assert warnings(Tiers(BUILT_IN, default="free"), providers=("openai",)) == []


def test_a_tier_that_is_meant_as_it_is_said_is_not_warned_of() -> None:
    assert told(STUDENT) == []


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        ({"tpm": 500, "max_tokens_per_request": 1_000}, "tpm", "once a minute"),
        ({"max_tokens_per_request": 9_000}, "monthly_token_quota", "below max_tokens_per_request"),
        ({"monthly_token_quota": None, "rollover_max_tokens": 5}, "rollover_max_tokens", "no effect"),
        ({"monthly_token_quota": None, "overage_nano_per_million": 10**9}, "overage", "never reached"),
        ({"providers": frozenset({"elsewhere"})}, "providers", "can call nothing"),
    ],
)
def test_each_slip_is_told_with_its_key(change: dict[str, object], key: str, says: str) -> None:
    [warning] = told(replace(STUDENT, **change), providers=("openai",))  # type: ignore[arg-type]  # the fields of each case
    assert warning.startswith(f"tiers.student.{key}: ")
    assert says in warning


def test_r11_overage_below_what_a_model_costs_is_told_with_the_dearest_model() -> None:
    sells = replace(STUDENT, overage_nano_per_million=10**9)  # S4-39: a dollar per million
    costs = {"openai/gpt-4-turbo": 20 * 10**9, "openai/gpt-4o-mini": 375_000_000}
    [warning] = told(sells, costs=lambda _: costs)
    assert warning.startswith(
        "tiers.student.overage: $1 per million tokens is below what openai/gpt-4-turbo costs ($20,"
    )
    assert "1 model(s)" in warning
    assert told(sells, costs=lambda _: {"openai/gpt-4o-mini": 375_000_000}) == []


def test_a_tier_outside_the_order_is_told() -> None:
    [warning] = warnings(Tiers([*BUILT_IN, STUDENT], default="free"))
    assert "not in charging.tier_order" in warning


def test_whoever_orders_tiers_of_their_own_is_not_told_of_the_built_in_ones_that_they_leave_alone() -> None:
    own = [*BUILT_IN[:-1], replace(BUILT_IN[-1], rpm=7), STUDENT]
    [warning] = warnings(Tiers(own, default="free", order=("free", "student")))
    assert warning.startswith("tiers.enterprise.name: ")
