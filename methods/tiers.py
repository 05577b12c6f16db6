"""What plans there are: `listTiers` and `getTierDetails`, in the shapes of the credits document (S4-26, S4-27)."""

from typing import Annotated

from pydantic import Field

from methods.context import Context
from methods.method import Access, Example, Method, NoParams, Params, Result, Tool
from monetization.tiers import Policy, Tier
from storage.errors import NotFound
from storage.records.money import USD, to_text

_NANO = 1_000_000_000
_MARGIN_PERCENT = 80
"""Of a plan's price, what the operator means to keep (S4-14); `grantCredits` takes it where nothing else is said."""


class TierParams(Params):
    """Which tier."""

    tier: Annotated[str, Field(min_length=1, max_length=100)]
    """Key or alias."""


class TierLimits(Result):
    """What a tier limits; a limit that is absent does not hold."""

    monthly_tokens: int | None = None
    monthly_requests: int | None = None
    max_tokens_per_request: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None
    providers: list[str]
    """Empty: all."""
    models: list[str]
    """Empty: all."""


class TierMargin(Result):
    """What a plan's price is meant to leave, in dollars a month."""

    api_cost_to_you: float
    """What the providers may cost."""
    your_price: float
    profit_margin: str


class TierResult(Result):
    """One tier as a buyer may see it."""

    tier: str
    """The key to use in other calls."""
    name: str
    price: float
    """Dollars per month."""
    currency: str = "USD"
    policy: Policy
    aliases: list[str]
    features: list[str]
    limits: TierLimits
    overage: bool
    """Whether calls past the monthly tokens are served at a price."""
    overage_usd_per_million: str | None = None
    """That price, for a million tokens."""
    rollover_max_tokens: int
    """Of a month's unused tokens, how many the next one may use besides its own."""
    thresholds_percent: list[int]
    margin: TierMargin
    """At the margin by which `grantCredits` turns a price into credits."""


class TiersResult(Result):
    """Every tier, cheapest first."""

    success: bool = True
    profit_margin: str = f"{_MARGIN_PERCENT}%"
    tiers: list[TierResult]
    data: dict[str, TierResult]
    """The same by key."""


async def list_tiers(context: Context, params: NoParams) -> TiersResult:
    """Every tier with its price, limits and features."""
    del params
    tiers = sorted(context.services.tiers().by_key.values(), key=lambda tier: (tier.price_nano, tier.key))
    shown = [shown_tier(tier) for tier in tiers]
    return TiersResult(tiers=shown, data={tier.tier: tier for tier in shown})


async def get_tier_details(context: Context, params: TierParams) -> TierResult:
    """One tier by its key or an alias."""
    tiers = context.services.tiers()
    key = tiers.key_of(params.tier)
    if key is None:
        raise NotFound(f"there is no tier {params.tier!r}; listTiers names them", data={"tier": params.tier})
    return shown_tier(tiers.by_key[key])


def shown_tier(tier: Tier) -> TierResult:
    """A tier as a buyer may see it."""
    return TierResult(
        tier=tier.key,
        name=tier.name,
        price=tier.price_nano / _NANO,
        policy=tier.policy,
        aliases=list(tier.aliases),
        features=sorted(tier.features),
        limits=TierLimits(
            monthly_tokens=tier.monthly_token_quota,
            monthly_requests=tier.monthly_request_quota,
            max_tokens_per_request=tier.max_tokens_per_request,
            rpm=tier.rpm,
            tpm=tier.tpm,
            concurrent=tier.concurrent,
            providers=sorted(tier.providers),
            models=sorted(tier.models),
        ),
        overage=tier.overage_nano_per_million is not None,
        overage_usd_per_million=(
            None if tier.overage_nano_per_million is None else to_text(tier.overage_nano_per_million, USD)
        ),
        rollover_max_tokens=tier.rollover_max_tokens,
        thresholds_percent=list(tier.thresholds_percent),
        margin=TierMargin(
            api_cost_to_you=tier.price_nano * (100 - _MARGIN_PERCENT) // 100 / _NANO,
            your_price=tier.price_nano / _NANO,
            profit_margin=f"{_MARGIN_PERCENT}%",
        ),
    )


METHODS = [
    Method(
        "listTiers",
        list_tiers,
        scope="public",
        tool=Tool("Plans on offer"),
        access=Access.OPTIONAL,
        examples=(Example("every tier", {}, {"success": True, "tiers": [], "data": {}}),),
    ),
    Method(
        "getTierDetails",
        get_tier_details,
        scope="public",
        access=Access.OPTIONAL,
        faults=(NotFound,),
        examples=(Example("one tier", {"tier": "starter"}, {"tier": "starter", "name": "Starter", "price": 19.0}),),
    ),
]
