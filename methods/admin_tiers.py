"""What an admin does with tiers: read the file again, and find the budget that leaves a margin (S4: 80 %)."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, NoParams, Params, Result
from methods.money_shapes import Amount, above_zero, actor_of, amount_of, number, text
from monetization.charging.rounding import divide, ppm_from_percent
from monetization.directory import Act
from monetization.prices.rates import MILLION, NANO_PER_DOLLAR, Rates
from monetization.terms import Target
from monetization.tier_calculator import Aim, Plan, Sum, planned, total
from monetization.tiers import KEY_PATTERN, name_of
from monetization.tiers_in_force import Reload
from storage.records.money import CREDIT, USD


def _as_text(said: object) -> object:
    """A percentage that came as a JSON number."""
    return str(said) if isinstance(said, int | float) and not isinstance(said, bool) else said


Percent = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^\d{1,3}(\.\d{1,4})?%?$")]


class ReloadResult(Result):
    """How a reload went. Where `success` is false nothing has changed."""

    success: bool
    problem: str | None = None
    """The key that is wrong and what to do."""
    changed: list[str]
    """Tiers that are new, gone or different."""
    warnings: list[str]
    needs_restart: list[str]
    """Other sections of the file that changed: they wait for a restart."""


class PlannedTier(Params):
    """A plan and its price."""

    tier: Annotated[str, Field(pattern=KEY_PATTERN)]
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    price: Amount
    """Dollars a month."""
    subscribers: Annotated[int, Field(ge=0, le=10**9)] = 0
    """For the totals."""


class Model(Params):
    """A model whose price turns the budget into tokens."""

    provider: Annotated[str, Field(pattern=r"^[^/\s]{1,100}$")]
    model: Annotated[str, Field(min_length=1, max_length=200)]


class CalculatorParams(Params):
    """What must come out."""

    tiers: Annotated[list[PlannedTier], Field(min_length=1, max_length=50)]
    profit_margin: Percent = "80%"
    """Of the price."""
    processor_fee_percent: Percent = "2.9%"
    processor_fee_fixed: Amount = "0.30"
    """Dollars per payment."""
    fee_from: Literal["profit", "budget"] = "profit"
    """`budget`: the margin stands after the processor's fee."""
    model: Model | None = None


class CalculatedTier(Result):
    """What a plan comes to, in dollars a month."""

    tier: str
    name: str
    price: float
    api_budget: str
    """What the provider may cost."""
    credits: float
    """The budget in credits: the plan's grant."""
    processor_fee: str
    profit: str
    """Price less budget."""
    profit_after_fee: str
    profit_margin: str
    profit_margin_after_fee: str
    tokens_guaranteed: int | None = None
    """With `model`: tokens that the budget pays for if every one is the dearest."""
    tokens_expected: int | None = None
    """With `model`: if half go in and half come out."""


class CalculatedTotals(Result):
    """All subscribers together, in dollars a month."""

    revenue: str
    api_budget: str
    processor_fees: str
    profit: str
    profit_after_fees: str
    profit_margin: str
    profit_margin_after_fees: str


class CalculatorResult(Result):
    """Every plan, and all of them together where subscribers were given."""

    success: bool = True
    profit_margin: str
    tiers: list[CalculatedTier]
    data: dict[str, CalculatedTier]
    """The same by key."""
    totals: CalculatedTotals | None = None


async def reload_tiers(context: Context, params: NoParams) -> ReloadResult:
    """Read the tiers from the configuration file again; a file that cannot be served changes nothing."""
    del params

    async def note(reload: Reload) -> None:
        told: dict[str, object] = {"success": reload.is_done, "changed": list(reload.changed)}
        if reload.problem is not None:
            told["problem"] = reload.problem
        await context.services.directory.put(Act(actor_of(context), "reloadTiers", "tiers", body=told), [])

    reload = await context.services.reload_tiers(note)
    return ReloadResult(
        success=reload.is_done,
        problem=reload.problem,
        changed=list(reload.changed),
        warnings=list(reload.warnings),
        needs_restart=list(reload.waiting),
    )


async def create_tiers_for_margin(context: Context, params: CalculatorParams) -> CalculatorResult:
    """What plans may cost their providers so that a margin stays. It calculates only; the tiers are changed in the file."""
    rates = None if params.model is None else _rates(context, params.model)
    return calculated(params, credit_value_nano=context.services.quotes.rules.credit_value_nano, rates=rates)


def calculated(params: CalculatorParams, *, credit_value_nano: int, rates: Rates | None = None) -> CalculatorResult:
    """The same without a server: `rates` are those of the model that the budget is spent on. Raises: InvalidParams."""
    aim = _aim(params)
    plans = [_plan(tier) for tier in params.tiers]
    if len({plan.key for plan in plans}) < len(plans):
        raise InvalidParams("tiers: two of them have the same key; give each its own")
    try:
        parts = [(plan, planned(plan, aim)) for plan in plans]
    except ValueError as wrong:
        raise InvalidParams(f"tiers: {wrong}") from None
    shown = [_shown(plan, part, credit_value_nano, rates) for plan, part in parts]
    return CalculatorResult(
        profit_margin=_percent(aim.margin_ppm),
        tiers=shown,
        data={tier.tier: tier for tier in shown},
        totals=_totals(total(parts)) if any(plan.subscribers for plan in plans) else None,
    )


def _aim(params: CalculatorParams) -> Aim:
    margin, fee = _ppm(params.profit_margin, "profitMargin"), _ppm(params.processor_fee_percent, "processorFeePercent")
    fixed = amount_of(params.processor_fee_fixed, USD, "processorFeeFixed")
    if fixed < 0:
        raise InvalidParams("processorFeeFixed: must not be below zero")
    return Aim(margin, fee, fixed, params.fee_from)


def _ppm(percent: str, name: str) -> int:
    ppm = ppm_from_percent(percent.removesuffix("%"))
    if ppm >= MILLION:
        raise InvalidParams(f"{name}: must be below 100%")
    return ppm


def _plan(tier: PlannedTier) -> Plan:
    price = amount_of(tier.price, USD, f"tiers.{tier.tier}.price")
    if price:
        above_zero(tier.price, USD, f"tiers.{tier.tier}.price")
    return Plan(tier.tier, tier.name or name_of(tier.tier), price, tier.subscribers)


def _rates(context: Context, model: Model) -> Rates:
    quotes = context.services.quotes
    return quotes.book().find(Target(model.provider, model.model, model.provider), quotes.clock_us()).base


def _shown(plan: Plan, part: Sum, credit_value_nano: int, rates: Rates | None) -> CalculatedTier:
    return CalculatedTier(
        tier=plan.key,
        name=plan.name,
        price=number(plan.price_nano, USD),
        api_budget=text(part.budget_nano, USD),
        credits=number(divide(part.budget_nano * NANO_PER_DOLLAR, credit_value_nano, "floor_carry"), CREDIT),
        processor_fee=text(part.fee_nano, USD),
        profit=text(part.profit_nano, USD),
        profit_after_fee=text(part.profit_after_fee_nano, USD),
        profit_margin=_percent(part.margin_ppm),
        profit_margin_after_fee=_percent(part.margin_after_fee_ppm),
        tokens_guaranteed=None if rates is None else _tokens(part, max(rates.input, rates.output), 1),
        tokens_expected=None if rates is None else _tokens(part, rates.input + rates.output, 2),
    )


def _tokens(part: Sum, rate_nano: int, tokens: int) -> int | None:
    """How many tokens a budget pays for at `rate_nano` per million times `tokens`; None where they cost nothing."""
    return divide(part.budget_nano * MILLION * tokens, rate_nano, "floor_carry") if rate_nano else None


def _totals(all_together: Sum) -> CalculatedTotals:
    return CalculatedTotals(
        revenue=text(all_together.price_nano, USD),
        api_budget=text(all_together.budget_nano, USD),
        processor_fees=text(all_together.fee_nano, USD),
        profit=text(all_together.profit_nano, USD),
        profit_after_fees=text(all_together.profit_after_fee_nano, USD),
        profit_margin=_percent(all_together.margin_ppm),
        profit_margin_after_fees=_percent(all_together.margin_after_fee_ppm),
    )


def _percent(ppm: int) -> str:
    """Parts per million as a percentage of at most two places."""
    hundredths = divide(ppm, 100, "half_even")
    sign, hundredths = ("-" if hundredths < 0 else ""), abs(hundredths)
    whole, part = divmod(hundredths, 100)
    return f"{sign}{whole}{f'.{part:02}'.rstrip('0') if part else ''}%"


METHODS = [
    Method(
        "reloadTiers",
        reload_tiers,
        scope="tiers:write",
        access=Access.REQUIRED,
        faults=(Forbidden,),
        examples=(Example("read the file again", {}, {"success": True, "changed": [], "warnings": []}),),
    ),
    Method(
        "createTiersForMargin",
        create_tiers_for_margin,
        scope="tiers:write",
        access=Access.REQUIRED,
        faults=(Forbidden,),
        examples=(
            Example(
                "a plan of $99 at 80 %",
                {"tiers": [{"tier": "professional", "price": "99"}], "profitMargin": "80%"},
                {"profitMargin": "80%", "tiers": [{"tier": "professional", "apiBudget": "19.8", "credits": 1980.0}]},
            ),
        ),
    ),
]
