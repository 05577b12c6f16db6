"""What AI costs before it is bought: `calculateCost` and `getProviderPricing` (S0-14, S2-25, S2-38, S2-39)."""

from typing import Annotated

from pydantic import Field

from methods.context import Context
from methods.errors import UnknownModel, UnknownProvider
from methods.method import Access, Example, Method, Params, Result
from monetization.charging.policies import Charge, charge_for, credits_for, dollars
from monetization.errors import PriceUnknown
from monetization.prices.rates import Price
from monetization.terms import Target
from monetization.tiers import Policy
from storage.records.usage import Usage

_NANO = 1_000_000_000
_PAGE_MAX = 500

Tokens = Annotated[int, Field(ge=0, le=2**40)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class CostParams(Params):
    """A usage to be priced. Without a model, the one that a call without a model would use."""

    provider: Name | None = None
    model: Name | None = None
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cached_input_tokens: Tokens = 0
    """Of `inputTokens`, those that the provider reads from its cache."""
    reasoning_tokens: Tokens = 0
    """Of `outputTokens`, those that the model spends on thinking."""


class CostBreakdown(Result):
    """The provider's cost by direction, in dollars; decimal strings, exact."""

    input: str
    output: str


class CostResult(Result):
    """What the usage costs: the same code charges it, so preview and charge agree to the unit."""

    provider: str
    model: str
    cost: float
    """What the provider bills, in dollars."""
    platform_fee: float
    total_cost: float
    usd_cost: float
    """The same as `cost`, under OpenMonetize's name."""
    cost_exact: str
    """`cost` as a decimal string that is exact."""
    credits: float
    """Under the policy `credits`: what is charged. Under any other: what `cost` is worth in credits."""
    tokens: int
    tokens_charged: int | None = None
    """Tokens taken from the balance, fee included; absent where the policy takes no tokens."""
    margin_percent: float
    """The operator's share of what the caller pays."""
    policy: Policy
    """The charging policy of the caller's tier."""
    breakdown: CostBreakdown
    price_version: str


class PricingParams(Params):
    """Which prices, page by page."""

    provider: Name | None = None
    model: Name | None = None
    limit: Annotated[int, Field(ge=1, le=_PAGE_MAX)] = 100
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class UnitPrice(Result):
    """Dollars for a number of units; a decimal string, exact."""

    cost_per_unit: str
    unit_size: int = 1_000_000
    currency: str = "USD"


class ModelPricing(Result):
    """The price of one model now."""

    provider: str
    model: str
    pricing: dict[str, UnitPrice]
    """`input_token`, `output_token`, `cache_read_token`, `cache_write_token`, `reasoning_token`, as far as they differ."""
    long_context: list[dict[str, object]] | None = None
    """Steps by tokens in: past `over`, every token of the call pays these prices."""
    price_version: str


class PricingResult(Result):
    """One page of prices."""

    data: list[ModelPricing]
    total: int
    limit: int
    offset: int


async def calculate_cost(context: Context, params: CostParams) -> CostResult:
    """What a usage would cost the caller, by the code that charges it."""
    services = context.services
    quotes = services.quotes
    target = services.router.resolve(params.provider, params.model)[0]
    price = quotes.book().find(target, quotes.clock_us())
    cached = min(params.cached_input_tokens, params.input_tokens)
    thought = min(params.reasoning_tokens, params.output_tokens)
    usage = Usage(
        input=params.input_tokens - cached, cache_read=cached, output=params.output_tokens - thought, reasoning=thought
    )
    tier = services.tiers().of(context.caller.tier)
    burn = quotes.burns(target.model, quotes.clock_us())
    charge = charge_for(tier.policy, quotes.rules, usage, price.cost(usage), burn)
    return _costed(context, target, price, usage, charge)


def _costed(context: Context, target: Target, price: Price, usage: Usage, charge: Charge) -> CostResult:
    rules = context.services.quotes.rules
    went_in, came_out = price.cost_parts(usage)
    in_credits = charge.amount if charge.asset == "CREDIT" else credits_for(rules, charge.cost_nano)
    paid = (
        in_credits * rules.credit_value_nano // _NANO
        if charge.asset == "CREDIT"
        else charge.cost_nano + charge.fee_nano
    )
    return CostResult(
        provider=target.provider,
        model=target.model,
        cost=charge.cost_nano / _NANO,
        platform_fee=charge.fee_nano / _NANO,
        total_cost=(charge.cost_nano + charge.fee_nano) / _NANO,
        usd_cost=charge.cost_nano / _NANO,
        cost_exact=dollars(charge.cost_nano),
        credits=in_credits / _NANO,
        tokens=charge.tokens,
        tokens_charged=charge.amount if charge.asset == "TOKEN" else None,
        margin_percent=round((paid - charge.cost_nano) * 100 / paid, 2) if paid else 0.0,
        policy=charge.policy,
        breakdown=CostBreakdown(input=dollars(went_in), output=dollars(came_out)),
        price_version=price.version,
    )


async def get_provider_pricing(context: Context, params: PricingParams) -> PricingResult:
    """The prices of every model that this server serves, as they are now."""
    services = context.services
    providers = [p for p in services.router.providers.values() if params.provider in (None, p.name, p.kind)]
    if params.provider is not None and not providers:
        raise UnknownProvider(
            f"no provider {params.provider!r} is configured; listProviders names them",
            data={"provider": params.provider},
        )
    targets = [
        Target(provider.name, model, provider.kind)
        for provider in providers
        for model in services.router.models(provider.name)
        if params.model in (None, model)
    ]
    if params.model is not None and not targets:
        raise UnknownModel(
            f"no configured provider serves {params.model!r}; listAllowedModels names the models",
            data={"model": params.model},
        )
    priced = [(target, price) for target in targets if (price := _price_now(context, target)) is not None]
    page = priced[params.offset : params.offset + params.limit]
    return PricingResult(
        data=[_shown(target, price) for target, price in page],
        total=len(priced),
        limit=params.limit,
        offset=params.offset,
    )


def _price_now(context: Context, target: Target) -> Price | None:
    try:
        quotes = context.services.quotes
        return quotes.book().find(target, quotes.clock_us())
    except PriceUnknown:
        return None


def _shown(target: Target, price: Price) -> ModelPricing:
    def unit_prices(step: int | None) -> dict[str, UnitPrice]:
        rates = price.base if step is None else price.tiers[step][1]
        shown = {"input_token": rates.input, "output_token": rates.output}
        if rates.cache_read != rates.input:
            shown["cache_read_token"] = rates.cache_read
        if rates.cache_write_5m != rates.input:
            shown["cache_write_token"] = rates.cache_write_5m
        if rates.reasoning != rates.output:
            shown["reasoning_token"] = rates.reasoning
        return {name: UnitPrice(cost_per_unit=dollars(nano)) for name, nano in shown.items()}

    return ModelPricing(
        provider=target.provider,
        model=target.model,
        pricing=unit_prices(None),
        long_context=[
            {"over": over, "pricing": {k: v.cost_per_unit for k, v in unit_prices(step).items()}}
            for step, (over, _) in enumerate(price.tiers)
        ]
        or None,
        price_version=price.version,
    )


METHODS = [
    Method(
        "calculateCost",
        calculate_cost,
        scope="public",
        access=Access.OPTIONAL,
        faults=(UnknownModel, UnknownProvider, PriceUnknown),
        examples=(
            Example(
                "half a thousand tokens in, a thousand out",
                {"model": "simulator", "inputTokens": 500, "outputTokens": 1000},
                {"cost": 0.0025, "credits": 0.25},
            ),
        ),
    ),
    Method(
        "getProviderPricing",
        get_provider_pricing,
        scope="public",
        access=Access.OPTIONAL,
        faults=(UnknownModel, UnknownProvider),
        examples=(Example("the first page", {"limit": 10}, {"data": [], "total": 0, "limit": 10, "offset": 0}),),
    ),
]
