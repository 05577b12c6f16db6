"""The acceptance examples of the design and of the settled contradictions, each with its id, and the laws between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monetization.charging.burn_tables import CREDIT_NANO, BurnTable, rule_from
from monetization.charging.policies import (
    DEFAULT,
    Fee,
    Rules,
    charge_for,
    credits_for,
    credits_of_price,
    dollars,
    quote_for,
    usable_of_purchase,
)
from monetization.charging.rounding import divide, ppm_from_percent, whole_units
from monetization.tiers import Policy
from storage.records.usage import Usage

CENT_NANO = 10_000_000
POLICIES: list[Policy] = ["allowance", "virtual_tokens", "credits", "byok"]
TOKENS = st.integers(0, 10_000_000)


def test_s1_01_a_thousand_tokens_bought_give_eight_hundred() -> None:
    assert usable_of_purchase(DEFAULT, 1000) == (800, 200)


@pytest.mark.parametrize(("used", "charged"), [(100, 125), (1000, 1250), (1, 2), (0, 0)])
def test_s1_02_a_token_used_is_charged_with_a_quarter_on_top_rounded_up(used: int, charged: int) -> None:
    charge = charge_for("virtual_tokens", DEFAULT, Usage(output=used), 0)
    assert charge.amount == charged
    assert charge.fee_amount == charged - used


def test_r2_the_effective_take_of_both_fees_is_36_percent() -> None:
    usable, _ = usable_of_purchase(DEFAULT, 1000)
    real = max(n for n in range(1001) if charge_for("virtual_tokens", DEFAULT, Usage(output=n), 0).amount <= usable)
    assert real == 640


def test_r2_the_fees_may_be_zero() -> None:
    rules = Rules(purchase_fee_ppm=0, usage_fee_ppm=0, platform_fee=Fee(0))
    assert usable_of_purchase(rules, 1000) == (1000, 0)
    assert charge_for("virtual_tokens", rules, Usage(output=7), 0).amount == 7
    assert charge_for("allowance", rules, Usage(output=7), CENT_NANO).fee_nano == 0


def test_s0_the_platform_fee_is_a_fifth_of_the_cost_between_its_bounds() -> None:
    charge = charge_for("allowance", DEFAULT, Usage(input=45, output=256), 3_975_000)
    assert (charge.cost_nano, charge.fee_nano, charge.asset, charge.amount) == (3_975_000, 795_000, "TOKEN", 301)
    bounded = Fee(200_000, least=1_000_000, greatest=2_000_000)
    assert [bounded.of(cost, "half_even") for cost in (0, 1, 7_500_000, 10**12)] == [0, 1_000_000, 1_500_000, 2_000_000]


def test_s4_16_a_professional_plan_grants_1980_credits() -> None:
    assert credits_of_price(DEFAULT, 99 * 10**9) == 1980 * CREDIT_NANO


def test_r9_gpt_4_turbo_500_and_1000_tokens_are_three_and_a_half_credits() -> None:
    assert credits_for(DEFAULT, 35_000_000) == 3_500_000_000


def test_s4_33_six_and_a_half_credits_charge_six_and_carry_a_half() -> None:
    exact = credits_for(DEFAULT, 65_000_000)
    assert exact == 6_500_000_000
    charged, carried = whole_units(exact, unit=CREDIT_NANO, rounding="floor_carry")
    assert (charged, carried) == (6 * CREDIT_NANO, CREDIT_NANO // 2)
    assert whole_units(exact, unit=CREDIT_NANO, rounding="floor_carry", carry=carried) == (7 * CREDIT_NANO, 0)


def test_r3_ceil_charges_whole_credits() -> None:
    assert charge_for("credits", Rules(rounding="ceil"), Usage(input=1), 65_000_000).amount == 7 * CREDIT_NANO


def test_r1_the_burn_tables_samples_are_worth_six_and_a_half_cents() -> None:
    # S2-26: gpt-4-turbo burns 1.5 credits per 1000 in and 10 per 1000 out; 1000 and 500 tokens are 6.5 credits.
    rule = rule_from("gpt-4-turbo", {"input_tokens": 1.5, "output_tokens": 10.0, "per_unit": 1000})
    charge = charge_for("credits", DEFAULT, Usage(input=1000, output=500), 25_000_000, rule)
    assert charge.amount == 6_500_000_000


def test_a_margin_is_added_to_the_cost_in_credits() -> None:
    assert credits_for(Rules(credit_margin_ppm=600_000), 100_000_000) == 16 * CREDIT_NANO


def test_a_callers_own_key_is_never_charged() -> None:
    charge = charge_for("byok", DEFAULT, Usage(input=10**6), 10**12)
    assert (charge.asset, charge.amount, charge.fee_nano, charge.tokens) == (None, 0, 0, 10**6)


@given(st.sampled_from(POLICIES), TOKENS, TOKENS, st.integers(0, 10**12), st.integers(0, 100), st.integers(0, 100))
def test_a_quote_is_never_below_the_charge_it_covers(
    policy: Policy, went_in: int, came_out: int, cost: int, less_in: int, less_out: int
) -> None:
    quote = quote_for(policy, DEFAULT, tokens_input=went_in, tokens_output=came_out, cost_nano=cost)
    used = Usage(input=max(0, went_in - less_in), output=max(0, came_out - less_out))
    charge = charge_for(policy, DEFAULT, used, max(0, cost - less_in))
    assert quote.amount >= charge.amount
    assert quote.tokens >= charge.tokens


@given(st.lists(st.integers(0, 10**12), max_size=50))
def test_carrying_never_leaks_a_nano(amounts: list[int]) -> None:
    carry = total = 0
    for amount in amounts:
        charged, carry = whole_units(amount, unit=CREDIT_NANO, rounding="floor_carry", carry=carry)
        assert charged % CREDIT_NANO == 0
        total += charged
    assert total + carry == sum(amounts)
    assert 0 <= carry < CREDIT_NANO


def test_half_even_goes_to_the_even_neighbour() -> None:
    assert [divide(n, 2, "half_even") for n in (1, 3, 5, 7)] == [0, 2, 2, 4]


def test_percentages_are_read_exactly_or_refused() -> None:
    assert [ppm_from_percent(p) for p in ("20", "2.5", "0", "0.0001", "25.00000")] == [200_000, 25_000, 0, 1, 250_000]
    for wrong in ("-1", "", "x", "1e2", "0.00001", "٢٠"):
        with pytest.raises(ValueError, match="percent"):
            ppm_from_percent(wrong)


def test_a_burn_table_falls_back_to_its_default_rule_and_to_the_price_book() -> None:
    table = BurnTable("b1", "Premium", 1, {"m": rule_from("m", {"inputTokens": 1, "outputTokens": 2, "perUnit": 10})})
    assert table.rule_for("m") is not None
    assert table.rule_for("other") is None
    default = BurnTable("b2", "Flat", 1, {"default": rule_from("default", {"flat_rate": 3})})
    rule = default.rule_for("anything")
    assert rule is not None
    assert rule.burn(Usage(input=99)) == 3 * CREDIT_NANO


def test_a_burn_table_holds_only_within_its_validity() -> None:
    table = BurnTable("b", "B", 1, {}, valid_from_us=10, valid_until_us=20)
    assert [table.holds_at(at) for at in (9, 10, 19, 20)] == [False, True, True, False]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"per_unit": 1000},
        {"input_tokens": -1},
        {"input_tokens": True},
        {"input_tokens": "NaN"},
        {"input_tokens": 1, "per_unit": 0},
        {"input_tokens": 1, "surprise": 1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_model(members: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^gpt: "):
        rule_from("gpt", members)


def test_dollars_are_exact() -> None:
    assert [dollars(n) for n in (0, 1, 35_000_000, 10**9, -2_500_000_000)] == ["0", "0.000000001", "0.035", "1", "-2.5"]
