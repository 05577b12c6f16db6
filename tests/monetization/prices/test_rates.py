"""Tokens become money in one division; the most is never less than any cost it can reach."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monetization.prices.rates import MILLION, Price, nano_per_million, rates_from
from storage.records.usage import Usage

GPT_4_TURBO = Price("gpt-4-turbo", "v", 0, rates_from(input=nano_per_million("10"), output=nano_per_million("30")))
LONG = Price(
    "sonnet",
    "v",
    0,
    rates_from(input=3_000_000_000, output=15_000_000_000, cache_read=300_000_000, cache_write_5m=3_750_000_000),
    tiers=((200_000, rates_from(input=6_000_000_000, output=22_500_000_000)),),
)
COUNTS = st.integers(0, 500_000)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
RATES = st.integers(0, 100_000_000_000)
ALL_RATES = st.builds(
    lambda i, o, r, w, h, t: rates_from(
        input=i, output=o, cache_read=r, cache_write_5m=w, cache_write_1h=h, reasoning=t
    ),
    *[RATES] * 6,
)
PRICES = st.builds(
    lambda base, tier, start: Price("m", "v", 0, base, tiers=((start, tier),)),
    ALL_RATES,
    ALL_RATES,
    st.integers(0, MILLION),
)


def test_the_documents_gpt_4_turbo_example_costs_three_and_a_half_cents() -> None:
    # 500 in and 1000 out at $10 and $30 per million; the document's $0.025 is an arithmetic slip (R9).
    assert GPT_4_TURBO.cost(Usage(input=500, output=1000)) == 35_000_000


def test_a_cost_is_rounded_once_half_up() -> None:
    price = Price("m", "v", 0, rates_from(input=500_000, output=0))
    assert [price.cost(Usage(input=n)) for n in (0, 1, 2, 3)] == [0, 1, 1, 2]


def test_past_the_cliff_every_token_pays_the_tiers_rate() -> None:
    at_the_edge = LONG.cost(Usage(input=200_000, output=1))
    past_it = LONG.cost(Usage(input=200_001, output=1))
    assert at_the_edge == 600_015_000
    assert past_it == 1_200_006_000 + 22_500


def test_cached_tokens_count_towards_the_cliff() -> None:
    assert LONG.rates_for(Usage(input=1, cache_read=200_000).tokens_input) is LONG.tiers[0][1]


@given(PRICES, USAGES, st.integers(0, 3), st.integers(0, 3))
def test_the_most_is_never_less_than_a_cost_it_can_reach(
    price: Price, usage: Usage, more_in: int, more_out: int
) -> None:
    most = price.most(
        tokens_input=usage.tokens_input + more_in, tokens_output=usage.tokens_output + more_out, has_media=True
    )
    assert most >= price.cost(usage)


@given(PRICES, USAGES)
def test_the_parts_of_a_cost_sum_to_it(price: Price, usage: Usage) -> None:
    went_in, came_out = price.cost_parts(usage)
    assert went_in >= 0
    assert came_out >= 0
    assert went_in + came_out == price.cost(usage)


def test_without_marks_the_most_leaves_cache_writes_out() -> None:
    plain = LONG.most(tokens_input=1_000, tokens_output=0, writes_cache=False)
    writing = LONG.most(tokens_input=1_000, tokens_output=0, writes_cache=True)
    assert plain == LONG.cost(Usage(input=1_000))
    assert writing == LONG.cost(Usage(cache_write_5m=1_000))


@pytest.mark.parametrize("wrong", ["-1", "abc", "0.0000000001", "NaN", "Infinity", ""])
def test_a_price_that_is_no_price_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"price in dollars|zero or more"):
        nano_per_million(wrong)
