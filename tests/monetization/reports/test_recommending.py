"""The cheapest tier is one that lets the month through; cheaper models answer in the same way, for less."""

from dataclasses import replace
from typing import Any  # what a tier is made of

import pytest

from monetization.charging.policies import Rules
from monetization.errors import PriceUnknown
from monetization.prices.rates import Price
from monetization.reports.recommending import Month, cheaper, cheapest_tier, covers
from monetization.terms import Target
from monetization.tiers import Tier
from storage.records.reports import UsageSum
from storage.records.usage import Usage
from tests.monetization.prices.test_book import flat

CHAT, NANO, LARGE, SMALL, UNKNOWN = (
    Target("openai", model, "openai") for model in ("chat", "nano", "embed-large", "embed-small", "unknown")
)
PRICES = {
    CHAT: flat("chat", 10),
    NANO: flat("nano", 1),
    LARGE: replace(flat("embed-large", 5), is_output_priced=False),
    SMALL: replace(flat("embed-small", 2), is_output_priced=False),
}


def price_of(target: Target) -> Price:
    if target not in PRICES:
        raise PriceUnknown("nothing prices it")
    return PRICES[target]


def others(target: Target, usage: Usage) -> list[str]:
    done = UsageSum(requests=3, usage=usage, cost_nano=10**13)
    work = cheaper(target, done, [CHAT, NANO, LARGE, SMALL, UNKNOWN], (), price_of)
    return [other.target.model for other in work.others]


def test_no_chat_model_is_named_for_embeddings_and_no_embedding_model_for_chats() -> None:
    assert others(LARGE, Usage(input=10**6)) == ["embed-small"]
    assert others(SMALL, Usage(input=10**6)) == ["embed-large"], "the cost in the rows decides, whatever was paid then"
    assert others(CHAT, Usage(input=10**6, output=500)) == ["nano"]
    assert others(CHAT, Usage(input=10**6)) == ["nano"], "also of chats that said nothing"


def test_what_has_no_price_any_more_is_taken_for_a_chat() -> None:
    assert others(UNKNOWN, Usage(input=10**6)) == ["nano", "chat"]


MONTH = Month(tokens=1_000, requests=10, cost_nano=1_000_000_000)
"""It costs a dollar, which is a hundred credits."""
ENOUGH = Tier("t", "T", price_nano=5 * 10**9, monthly_token_quota=1_000, monthly_request_quota=10)


@pytest.mark.parametrize(
    ("more", "is_enough"),
    [
        ({}, True),
        ({"monthly_token_quota": None, "monthly_request_quota": None}, True),
        ({"monthly_token_quota": 999}, False),
        ({"monthly_request_quota": 9}, False),
        ({"policy": "credits"}, True),  # of five dollars a fifth is given in credits
        ({"policy": "credits", "price_nano": 5 * 10**9 - 1}, False),
        ({"policy": "byok"}, False),
        ({"features": frozenset({"basic", "more"})}, True),
        ({"features": frozenset({"more"})}, False),
        ({"providers": frozenset({"openai"}), "models": frozenset({"cha*"})}, True),
        ({"providers": frozenset({"google"})}, False),
        ({"models": frozenset({"nano"})}, False),
    ],
)
def test_a_tier_covers_a_month_where_each_of_its_bounds_does(more: dict[str, Any], is_enough: bool) -> None:  # noqa: FBT001
    tier = replace(ENOUGH, **{"features": frozenset({"basic"}), **more})
    assert covers(tier, MONTH, Rules(), [CHAT], frozenset({"basic"})) == is_enough


def test_of_those_that_are_enough_the_cheapest_is_named_and_of_none_nothing() -> None:
    dear, small = replace(ENOUGH, key="dear", price_nano=10**10), replace(ENOUGH, key="small", monthly_token_quota=1)
    assert cheapest_tier([dear, ENOUGH, small], MONTH, Rules(), [CHAT], frozenset()) == ENOUGH
    assert cheapest_tier([small], MONTH, Rules(), [CHAT], frozenset()) is None
