"""The tier calculator against the numbers of the credits document, with their arithmetic corrected (R9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monetization.tier_calculator import Aim, Plan, planned, total

DOLLAR = 10**9
AT_80 = Aim(margin_ppm=800_000)


@pytest.mark.parametrize(
    ("price", "budget", "profit"), [(19, "3.80", "15.20"), (99, "19.80", "79.20"), (499, "99.80", "399.20")]
)
def test_a_fifth_of_the_price_is_the_budget(price: int, budget: str, profit: str) -> None:
    found = planned(Plan("p", "P", price * DOLLAR), AT_80)
    assert found.budget_nano == round(float(budget) * 100) * DOLLAR // 100
    assert found.profit_nano == round(float(profit) * 100) * DOLLAR // 100
    assert found.margin_ppm == 800_000


def test_the_revenue_example_comes_to_its_real_margin() -> None:
    plans = [Plan("s", "S", 19 * DOLLAR, 100), Plan("p", "P", 99 * DOLLAR, 50), Plan("e", "E", 499 * DOLLAR, 10)]
    all_together = total([(plan, planned(plan, AT_80)) for plan in plans])
    assert all_together.price_nano == 11_840 * DOLLAR
    assert all_together.budget_nano == 2_368 * DOLLAR
    assert all_together.fee_nano == 391_360_000_000  # 160 charges
    assert all_together.margin_after_fee_ppm == 766_946  # not 80 %: the processor takes its part


def test_a_plan_without_a_price_has_nothing_to_share_out() -> None:
    assert planned(Plan("free", "Free", 0), AT_80).budget_nano == 0


def test_a_price_that_leaves_nothing_for_the_provider_is_refused() -> None:
    with pytest.raises(ValueError, match="raise the price"):
        planned(Plan("cheap", "Cheap", DOLLAR), Aim(800_000, fee_from="budget"))


@given(
    price=st.integers(1, 10**15),
    margin=st.integers(0, 999_999),
    fee=st.integers(0, 100_000),
    fixed=st.integers(0, 10**9),
)
def test_the_margin_always_stays_and_nothing_is_lost_between_the_parts(
    price: int, margin: int, fee: int, fixed: int
) -> None:
    for fee_from in ("profit", "budget"):
        aim = Aim(margin, fee, fixed, fee_from)
        try:
            found = planned(Plan("p", "P", price), aim)
        except ValueError:
            continue
        kept = found.profit_nano if fee_from == "profit" else found.profit_after_fee_nano
        assert kept * 1_000_000 >= price * margin
        assert found.budget_nano + found.fee_nano + found.profit_after_fee_nano == price
