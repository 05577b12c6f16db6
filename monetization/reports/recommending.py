"""What would serve a user better: the cheapest tier that covers what the month comes to, and cheaper models. Pure.

The rule for tiers (R9): a tier covers a month when its tokens, its requests and, where it charges in credits, its credits are at
least what the month comes to, and it lets through the providers, models and features that were used. Of those the cheapest.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from monetization.charging.policies import Rules, credits_for, credits_of_price
from monetization.errors import PriceUnknown
from monetization.prices.rates import MILLION, Price
from monetization.reports.forecasts import Pace, at_end
from monetization.terms import Target
from monetization.tiers import Tier
from storage.records.fact import fact
from storage.records.reports import UsageSum

OTHERS_MAX: Final = 3
"""Cheaper models that are named beside one that was used."""


@fact
class Month:
    """What a calendar month comes to."""

    tokens: int
    requests: int
    cost_nano: int


@fact
class Other:
    """A model that would have done the same work for less."""

    target: Target
    cost_nano: int
    is_fallback: bool
    """The operator names it as what may serve in the used one's place."""


@fact
class Work:
    """What one model did, and what it would have cost elsewhere."""

    target: Target
    requests: int
    tokens: int
    cost_nano: int
    others: tuple[Other, ...]
    """The cheapest first; those that the operator names in its place before all others."""

    @property
    def saving_nano(self) -> int:
        """With the first of them."""
        return self.cost_nano - self.others[0].cost_nano if self.others else 0


def month_ahead(so_far: UsageSum, tokens: Pace, requests: Pace, cost: Pace, left_us: int) -> Month:
    """What a month comes to if use goes on at its recent pace."""
    return Month(
        at_end(so_far.usage.tokens_total, tokens, left_us),
        at_end(so_far.requests, requests, left_us),
        at_end(so_far.cost_nano, cost, left_us),
    )


def covers(tier: Tier, month: Month, rules: Rules, used: Iterable[Target], features: frozenset[str]) -> bool:
    """Whether a tier is enough for a month."""
    if tier.policy == "byok":
        return False
    if tier.monthly_token_quota is not None and month.tokens > tier.monthly_token_quota:
        return False
    if tier.monthly_request_quota is not None and month.requests > tier.monthly_request_quota:
        return False
    if tier.policy == "credits" and credits_for(rules, month.cost_nano) > credits_of_price(rules, tier.price_nano):
        return False
    if not features <= tier.features:
        return False
    return all(tier.includes_provider(target.provider) and tier.includes_model(target.model) for target in used)


def cheapest_tier(
    tiers: Iterable[Tier], month: Month, rules: Rules, used: Sequence[Target], features: frozenset[str]
) -> Tier | None:
    """The cheapest tier that is enough. None: no tier is."""
    enough = [tier for tier in tiers if covers(tier, month, rules, used, features)]
    return min(enough, key=lambda tier: (tier.price_nano, tier.key), default=None)


def cheaper(
    target: Target,
    done: UsageSum,
    candidates: Iterable[Target],
    fallbacks: Sequence[Target],
    price_of: Callable[[Target], Price],
) -> Work:
    """What the candidates would have cost for the same tokens, where that is less.

    Only what answers as the used one does is a candidate: no chat model embeds, and no embedding model chats.
    """
    own = _price(target, price_of)
    answers = own is None or own.is_output_priced
    others = []
    for candidate in candidates:
        price = None if candidate == target else _price(candidate, price_of)
        cost = None if price is None or price.is_output_priced != answers else _cost(price, done)
        if cost is not None and cost < done.cost_nano:
            others.append(Other(candidate, cost, candidate in fallbacks))
    others.sort(key=lambda other: (not other.is_fallback, other.cost_nano, other.target.model))
    return Work(target, done.requests, done.usage.tokens_total, done.cost_nano, tuple(others[:OTHERS_MAX]))


def _price(target: Target, price_of: Callable[[Target], Price]) -> Price | None:
    try:
        return price_of(target)
    except PriceUnknown:
        return None


def _cost(price: Price, done: UsageSum) -> int | None:
    """What the tokens of many requests cost at a price, in nano dollars; long ones by their average length."""
    if not done.requests:
        return None
    rates = price.rates_for(done.usage.tokens_input // done.requests)
    return done.requests * price.request_nano + (rates.weigh(done.usage) + MILLION // 2) // MILLION
