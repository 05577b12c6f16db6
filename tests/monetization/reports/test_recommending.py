"""Cheaper models are those that answer in the same way, and cost less for the same tokens."""

from dataclasses import replace

from monetization.errors import PriceUnknown
from monetization.prices.rates import Price
from monetization.reports.recommending import cheaper
from monetization.terms import Target
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
