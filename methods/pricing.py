"""What AI costs before it is bought: `calculateCost` and `getProviderPricing` (S0-14, S2-25, S2-38, S2-39)."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from methods.context import Context
from methods.errors import InvalidParams, UnknownModel, UnknownProvider
from methods.method import Access, Example, Method, Params, Result, Tool
from methods.money_shapes import Amount
from monetization.charging.policies import Charge, Rules, charge_for, credits_for, dollars, revenue_of
from monetization.errors import PriceUnknown
from monetization.ingestion.events import Event, Kind, Window, event_of
from monetization.ingestion.rating import Rated
from monetization.ingestion.rejecting import Rejected, Unrated
from monetization.prices.rates import STANDARD, Price, Processing, Rates
from monetization.terms import Target
from monetization.tiers import Policy
from storage.records.usage import Usage

_NANO = 1_000_000_000
_PAGE_MAX = 500
_KINDS: Final[dict[str, Kind]] = {
    "image": "IMAGE_GENERATION",
    "video": "VIDEO_GENERATION",
    "audio": "AUDIO_PROCESSING",
    "api_call": "API_CALL",
    "custom": "CUSTOM",
}

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
    processing: Processing = STANDARD
    """How the provider handles it: batch and flex cost no more than standard, priority and fast more."""
    type: Literal["text", "image", "video", "audio", "api_call", "custom"] = "text"
    """What is priced: tokens (`text`), or units by their own prices, as events of usage are."""
    count: Amount | None = None
    """Units. Absent: one image or call."""
    duration_seconds: Amount | None = None
    """Of video and audio, in the place of `count`."""
    image_size: Name | None = None
    quality: Name | None = None
    unit_type: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """What `count` counts. Absent: images, seconds, calls."""


class CostBreakdown(Result):
    """The provider's cost by direction, in dollars; decimal strings, exact."""

    input: str
    output: str


class CostResult(Result):
    """What the usage costs: the same code charges it, so preview and charge agree to the unit."""

    provider: str | None = None
    model: str | None = None
    cost: float | None = None
    """What the provider bills, in dollars. Absent: not known, where a burn table alone prices a unit."""
    platform_fee: float
    total_cost: float | None = None
    usd_cost: float | None = None
    """The same as `cost`, under OpenMonetize's name."""
    cost_exact: str | None = None
    """`cost` as a decimal string that is exact."""
    credits: float
    """Under the policy `credits`: what is charged. Under any other: what `cost` is worth in credits."""
    tokens: int
    tokens_charged: int | None = None
    """Tokens taken from the balance, fee included; absent where the policy takes no tokens."""
    revenue_usd: float | None = None
    """What the charge is worth to the operator: credits at their value, for tokens the cost with the platform's fee, on an own
    provider key nothing."""
    margin_usd: float | None = None
    """Of it, what is left after the provider."""
    margin_percent: float | None = None
    """The operator's share of what the caller pays."""
    policy: Policy
    """The charging policy of the caller's tier."""
    breakdown: CostBreakdown | None = None
    price_version: str | None = None


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


class ProcessingPricing(Result):
    """The price of one model now, handled by its provider in one way."""

    pricing: dict[str, UnitPrice]
    long_context: list[dict[str, object]] | None = None
    price_version: str


class ModelPricing(Result):
    """The price of one model now."""

    provider: str
    model: str
    pricing: dict[str, UnitPrice]
    """`input_token` and `output_token`; `cache_read_token`, `cache_write_token`, `cache_write_1h_token`, `reasoning_token` and
    those of audio and images as far as they differ; `request` where each request costs something by itself."""
    long_context: list[dict[str, object]] | None = None
    """Steps by tokens in: past `over`, every token of the call pays these prices."""
    price_version: str
    processing: dict[Processing, ProcessingPricing] | None = None
    """The prices of batch, flex, priority and fast, as far as they are known; batch and flex else cost the standard price."""


class PricingResult(Result):
    """One page of prices."""

    data: list[ModelPricing]
    total: int
    limit: int
    offset: int


async def calculate_cost(context: Context, params: CostParams) -> CostResult:
    """What a usage would cost the caller, by the code that charges it."""
    services = context.services
    tier = services.tiers().of(context.caller.tier)
    if params.type != "text":
        return _units(context, params, tier.policy)
    quotes = services.quotes
    target, price = _priced(context, params)
    cached = min(params.cached_input_tokens, params.input_tokens)
    thought = min(params.reasoning_tokens, params.output_tokens)
    usage = Usage(
        input=params.input_tokens - cached, cache_read=cached, output=params.output_tokens - thought, reasoning=thought
    )
    burn = quotes.burns(target.model, quotes.clock_us())
    charge = charge_for(tier.policy, quotes.rules, usage, price.cost(usage), burn)
    went_in, came_out = price.cost_parts(usage)
    breakdown = CostBreakdown(input=dollars(went_in), output=dollars(came_out))
    shown = _costed(quotes.rules, charge, charge.cost_nano)
    named = {"provider": target.provider, "model": target.model, "price_version": price.version}
    return shown.model_copy(update={**named, "breakdown": breakdown})


def _priced(context: Context, params: CostParams) -> tuple[Target, Price]:
    """What would serve, else what an event may name, and its price. Raises: UnknownProvider, UnknownModel, PriceUnknown."""
    services = context.services
    now_us = services.quotes.clock_us()
    provider = None if params.provider is None else params.provider.lower()  # OpenMonetize's clients write OPENAI
    try:
        target = services.router.resolve(provider, params.model)[0]
    except (UnknownProvider, UnknownModel):
        if provider is None or params.model is None:
            raise
        target = services.ingestion.rating.target(provider, params.model)
        if not is_priced(context, target):
            raise
    return target, services.quotes.book().find(target, now_us, params.processing)


def _units(context: Context, params: CostParams, policy: Policy) -> CostResult:
    """What units cost that are no tokens: the event that would tell of them, rated. Raises: InvalidParams, PriceUnknown."""
    count = "duration_seconds" if params.duration_seconds is not None else "quantity"
    said = {
        "event_type": _KINDS[params.type],
        "provider": params.provider,
        "model": params.model,
        "image_size": params.image_size,
        "quality": params.quality,
        "unit_type": params.unit_type,
        "processing": params.processing,
        count: params.count if params.duration_seconds is None else params.duration_seconds,
    }
    event, rated = rated_units(context, said, policy)
    named = {"provider": event.provider, "model": event.model, "price_version": rated.price_version}
    return _costed(context.services.quotes.rules, rated.charge, rated.cost_nano).model_copy(update=named)


def rated_units(context: Context, said: Mapping[str, object], policy: Policy) -> tuple[Event, Rated]:
    """An event that somebody would send, and what it would cost. Raises: InvalidParams, PriceUnknown."""
    services = context.services
    now_us = services.quotes.clock_us()
    try:
        event = event_of({"event_id": "preview", "user_id": "preview", **said}, Window(now_us, 0, 0))
        return event, services.ingestion.rating.rate(event, policy, now_us)
    except Unrated as wrong:
        raise PriceUnknown(wrong.detail, data={"reason": wrong.reason}) from None
    except Rejected as wrong:
        raise InvalidParams(wrong.detail) from None


def is_priced(context: Context, target: Target) -> bool:
    """Whether the price book knows what may not be served here, but be told of by events."""
    quotes = context.services.quotes
    return quotes.book().knows(target, quotes.clock_us())


def _costed(rules: Rules, charge: Charge, cost_nano: int | None) -> CostResult:
    """A charge on the wire; without a cost in dollars nothing is said that follows from it."""
    in_credits = charge.amount if charge.asset == "CREDIT" else credits_for(rules, charge.cost_nano)
    shown = CostResult(
        platform_fee=charge.fee_nano / _NANO,
        credits=in_credits / _NANO,
        tokens=charge.tokens,
        tokens_charged=charge.amount if charge.asset == "TOKEN" else None,
        policy=charge.policy,
    )
    if cost_nano is None:
        return shown
    paid = revenue_of(rules, charge.asset, charge.amount, cost_nano, charge.fee_nano)
    kept = 0 if charge.asset is None else paid - cost_nano
    cost = {
        "cost": cost_nano / _NANO,
        "total_cost": (cost_nano + charge.fee_nano) / _NANO,
        "usd_cost": cost_nano / _NANO,
        "cost_exact": dollars(cost_nano),
        "revenue_usd": paid / _NANO,
        "margin_usd": kept / _NANO,
        "margin_percent": round(kept * 100 / paid, 2) if paid else 0.0,
    }
    return shown.model_copy(update=cost)


async def get_provider_pricing(context: Context, params: PricingParams) -> PricingResult:
    """The prices of every model that this server serves, as they are now."""
    services = context.services
    asked = None if params.provider is None else params.provider.lower()
    providers = [p for p in services.router.providers.values() if asked in (None, p.name, p.kind)]
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
    processed = {kind: ProcessingPricing.model_validate(_members(other)) for kind, other in price.processed}
    named = {"provider": target.provider, "model": target.model, "processing": processed or None}
    return ModelPricing.model_validate({**named, **_members(price)})


def _members(price: Price) -> dict[str, object]:
    """What is shown of the price of one kind of processing."""
    steps = [
        {"over": over, "pricing": {name: unit.cost_per_unit for name, unit in _unit_prices(price, rates).items()}}
        for over, rates in price.tiers
    ]
    return {
        "pricing": _unit_prices(price, price.base),
        "long_context": steps or None,
        "price_version": price.version,
    }


def _unit_prices(price: Price, rates: Rates) -> dict[str, UnitPrice]:
    shown = {"input_token": rates.input, "output_token": rates.output}
    more = (
        ("cache_read_token", rates.cache_read, rates.input),
        ("cache_write_token", rates.cache_write_5m, rates.input),
        ("cache_write_1h_token", rates.cache_write_1h, rates.cache_write_5m),
        ("reasoning_token", rates.reasoning, rates.output),
        ("audio_input_token", rates.audio_input, rates.input),
        ("image_input_token", rates.image_input, rates.input),
        ("audio_output_token", rates.audio_output, rates.output),
        ("image_output_token", rates.image_output, rates.output),
    )
    shown |= {name: rate for name, rate, instead in more if rate != instead}
    prices = {name: UnitPrice(cost_per_unit=dollars(nano)) for name, nano in shown.items()}
    if price.request_nano:
        prices["request"] = UnitPrice(cost_per_unit=dollars(price.request_nano), unit_size=1)
    return prices


METHODS = [
    Method(
        "calculateCost",
        calculate_cost,
        scope="public",
        tool=Tool("Calculate a cost"),
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
        tool=Tool("Prices of models"),
        access=Access.OPTIONAL,
        faults=(UnknownModel, UnknownProvider),
        examples=(Example("the first page", {"limit": 10}, {"data": [], "total": 0, "limit": 10, "offset": 0}),),
    ),
]
