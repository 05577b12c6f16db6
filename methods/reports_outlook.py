"""Where use is going, and what would serve better: `getBurnForecast`, `getRecommendations`. Reads only.

Shapes: OpenMonetize's burn rate (currentBalance, last7Days, last30Days, projectedRunout, recommendations) and the credits
document's recommendations (S4-31) with the arithmetic of R9.
"""

from typing import Literal

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Result, Tool
from methods.money_shapes import Asset, number, text
from methods.reports_shapes import WhoseParams, percent, savings_members, standing_of
from methods.tiers import TierLimits, shown_tier
from monetization.periods import end_of, iso
from monetization.quota_desk import month_of_tokens
from monetization.reports.asking import Whose, together
from monetization.reports.forecasts import Pace, gone_us, in_days, pace_of
from monetization.reports.ranges import DAY_US, last_days, named
from monetization.reports.recommending import Month, Work, cheaper, cheapest_tier, month_ahead
from monetization.terms import Target
from monetization.tiers import Tier
from storage.records.money import CREDIT, TOKEN, USD
from storage.records.reports import UsageSum

_LOOK_BACK_DAYS = 30
_URGENT_DAYS = 3
_WARNING_DAYS = 14
_RISE_PERCENT = 50


class ForecastParams(WhoseParams):
    """Which balance."""

    asset: Asset | None = None
    """Absent: the one that the tier charges."""


class Spent(Result):
    """What a number of days took."""

    total: float
    total_exact: str
    average_per_day: float
    average_exact: str


class Runout(Result):
    """When something ends."""

    days_remaining: int | None = None
    """Whole days; absent: no end can be foreseen."""
    estimated_runout_date: str | None = None


class QuotaOutlook(Runout):
    """Where the month's tokens are going."""

    limit: int
    used: int
    remaining: int
    projected_use: int
    """At the end of the month."""
    will_exceed: bool
    reset_date: str


class Advice(Result):
    """What to do about it."""

    type: Literal["urgent", "warning", "alert"]
    message: str
    action: str


class ForecastResult(Result):
    """Where a balance and the month's quota are going at the pace of the last week."""

    asset: str
    current_balance: float
    current_balance_exact: str
    daily_average: float
    """Of the last seven days, or of those since the first use."""
    change_percent: int | None = None
    """Against the week before; absent: there is nothing to compare with."""
    last7_days: Spent
    last30_days: Spent
    projected_runout: Runout
    quota: QuotaOutlook | None = None
    """Absent: nothing limits the month's tokens."""
    recommendations: list[Advice]


class TierAdvice(Result):
    """A tier."""

    tier: str
    name: str
    price: float
    limits: TierLimits


class Projection(Result):
    """What the calendar month comes to at the recent pace."""

    tokens: int
    requests: int
    cost: float


class Alternative(Result):
    """A model that would have done the same work for less; whether it does it as well is for its user to try."""

    provider: str
    model: str
    cost: float
    saving: float
    saving_percent: float
    is_declared_fallback: bool
    """The operator names it as what may serve in the used one's place: a fallback, or an equivalent."""


class ModelAdvice(Result):
    """A model that was used."""

    provider: str
    model: str
    requests: int
    tokens: int
    cost: float
    alternatives: list[Alternative]


class RecommendationsResult(Result):
    """The cheapest tier for what the month comes to, and cheaper models for the work of the last thirty days."""

    current_tier: str
    current_spend: float
    """What the providers billed this month so far, own provider keys left out."""
    projected_monthly_spend: float
    projection: Projection
    recommended_tier: TierAdvice | None = None
    """Absent: no tier covers the projection."""
    action: Literal["stay", "upgrade", "downgrade", "contact"]
    """By price; `contact`: no tier is enough."""
    models: list[ModelAdvice]
    """Of the last thirty days, those with a cheaper way first."""
    potential_saving: float
    """With each model's first alternative, over those thirty days."""
    savings: float | None = None
    """What routing to other models than were asked for has saved in those thirty days, net. Absent: nothing."""
    savings_exact: str | None = None


async def get_burn_forecast(context: Context, params: ForecastParams) -> ForecastResult:
    """When the balance ends at the recent pace, and whether the month's quota holds."""
    whose, services = standing_of(context, params), context.services
    now_us = services.reports.clock_us()
    tier = await _tier(context, whose)
    asset = params.asset or (CREDIT if tier.policy == "credits" else TOKEN)
    days = await _days(context, whose, tier, now_us)
    pace = pace_of([day.charged.get(asset, 0) for day in days])
    balance = await _balance(context, whose, asset)
    left, gone = in_days(balance, pace), gone_us(balance, pace, now_us)
    runout = Runout(days_remaining=left, estimated_runout_date=None if gone is None else iso(gone))
    quota = await _quota(context, whose, days, now_us)
    return ForecastResult(
        asset=asset,
        current_balance=number(balance, asset),
        current_balance_exact=text(balance, asset),
        daily_average=number(pace.per_day, asset),
        change_percent=pace.change_percent,
        last7_days=_spent(days[-7:], asset),
        last30_days=_spent(days, asset),
        projected_runout=runout,
        quota=quota,
        recommendations=_advice(runout, quota, pace),
    )


async def get_recommendations(context: Context, params: WhoseParams) -> RecommendationsResult:
    """The cheapest tier that covers what the month comes to, and cheaper models for the same work."""
    whose, services = standing_of(context, params), context.services
    now_us = services.reports.clock_us()
    tier = await _tier(context, whose)
    kinds = await services.reports.parts(whose, named("current_month", now_us), ("caller_kind",))
    so_far = together([part for part in kinds if _counts(part, tier)])
    month = _ahead(so_far, await _days(context, whose, tier, now_us), now_us)
    parts = await services.reports.parts(whose, last_days(_LOOK_BACK_DAYS, now_us), ("provider", "model", "kind"))
    done = [(target, part) for part in parts if (target := _target(context, part)) is not None and part.cost_nano]
    told = [one for one in done if one[1].key[2] == "TOKEN_USAGE"]  # what makes images is no text model's work
    best = cheapest_tier(
        services.tiers().by_key.values(), month, services.quotes.rules, [target for target, _ in done], tier.features
    )
    works = sorted(
        (_work(context, tier, target, part, now_us) for target, part in told), key=lambda work: -work.saving_nano
    )
    return RecommendationsResult(
        current_tier=tier.key,
        current_spend=number(so_far.cost_nano, USD),
        projected_monthly_spend=number(month.cost_nano, USD),
        projection=Projection(tokens=month.tokens, requests=month.requests, cost=number(month.cost_nano, USD)),
        recommended_tier=None if best is None else _tier_advice(best),
        action=_action(tier, best),
        models=[_model_advice(work) for work in works],
        potential_saving=number(sum(work.saving_nano for work in works), USD),
        **savings_members(together(parts)),
    )


async def _days(context: Context, whose: Whose, tier: Tier, now_us: int) -> tuple[UsageSum, ...]:
    """The last thirty times 24 hours."""
    until_us = now_us + 1
    edges = tuple(until_us - back * DAY_US for back in range(_LOOK_BACK_DAYS, -1, -1))
    kinds = await context.services.reports.series_by(whose, edges, "caller_kind")
    days = zip(*kinds.values(), strict=True) if kinds else [()] * _LOOK_BACK_DAYS
    return tuple(together([part for part in day if _counts(part, tier)]) for day in days)


def _counts(part: UsageSum, tier: Tier) -> bool:
    """Whether usage of this kind of caller eats what a tier gives: calls on own provider keys do not, where others could."""
    return part.key[0] != "byok" or tier.policy == "byok"


async def _tier(context: Context, whose: Whose) -> Tier:
    caller, services = context.caller, context.services
    if whose.user_id is None or whose.user_id == caller.user_id:
        return services.tiers().of(caller.tier)
    return services.tiers().of((await services.eligibility.caller(whose.user_id)).tier)


async def _balance(context: Context, whose: Whose, asset: str) -> int:
    """What is left of a balance and not held by running calls."""
    statements = context.services.money.statements
    if whose.user_id is not None:
        return (await statements.standing(whose.user_id, asset)).balance.available
    assert whose.organization_id is not None, "a forecast is about a user or an organization"
    return (await statements.pool(whose.organization_id, asset)).balance.available


async def _quota(context: Context, whose: Whose, days: tuple[UsageSum, ...], now_us: int) -> QuotaOutlook | None:
    """Where the month's tokens stand and are going; None where nothing limits them."""
    if whose.user_id is None:
        return None
    caller, services = context.caller, context.services
    known = caller if whose.user_id == caller.user_id else await services.eligibility.caller(whose.user_id)
    own = month_of_tokens(await services.quotas.of_user(known), f"user:{whose.user_id}")
    if own is None or own.resets_us is None:
        return None
    resets_us = own.resets_us
    pace = pace_of([day.usage.tokens_total for day in days])
    gone, comes_to = gone_us(own.left, pace, now_us), own.used + _until(pace, resets_us - now_us)
    ends = gone is not None and gone < resets_us
    return QuotaOutlook(
        limit=own.limit,
        used=own.used,
        remaining=own.left,
        projected_use=comes_to,
        will_exceed=ends,
        reset_date=iso(resets_us),
        days_remaining=in_days(own.left, pace) if ends else None,
        estimated_runout_date=iso(gone) if ends and gone is not None else None,
    )


def _until(pace: Pace, left_us: int) -> int:
    return pace.used * left_us // (pace.days * DAY_US) if pace.days else 0


def _spent(days: tuple[UsageSum, ...], asset: str) -> Spent:
    total = sum(day.charged.get(asset, 0) for day in days)
    average = total // len(days)
    return Spent(
        total=number(total, asset),
        total_exact=text(total, asset),
        average_per_day=number(average, asset),
        average_exact=text(average, asset),
    )


def _advice(runout: Runout, quota: QuotaOutlook | None, pace: Pace) -> list[Advice]:
    advice: list[Advice] = []
    if runout.days_remaining is not None and runout.days_remaining <= _WARNING_DAYS:
        kind: Literal["urgent", "warning"] = "urgent" if runout.days_remaining <= _URGENT_DAYS else "warning"
        advice.append(Advice(
            type=kind, message=f"The balance lasts about {runout.days_remaining} days more at the recent pace.",
            action="purchase",
        ))  # fmt: skip
    if quota is not None and quota.will_exceed:
        advice.append(Advice(
            type="warning", message="The month's tokens will be used up before they are renewed.", action="upgrade"
        ))  # fmt: skip
    if pace.change_percent is not None and pace.change_percent > _RISE_PERCENT:
        advice.append(Advice(
            type="alert", message=f"Use rose by {pace.change_percent} % against the week before.", action="review_usage"
        ))  # fmt: skip
    return advice


def _ahead(so_far: UsageSum, days: tuple[UsageSum, ...], now_us: int) -> Month:
    ends_us = end_of("monthly", named("current_month", now_us).since_us)
    assert ends_us is not None, "a month has an end"
    tokens, requests = pace_of([day.usage.tokens_total for day in days]), pace_of([day.requests for day in days])
    return month_ahead(so_far, tokens, requests, pace_of([day.cost_nano for day in days]), ends_us - now_us)


def _target(context: Context, part: UsageSum) -> Target | None:
    """What served; None where that provider or a model's name is not known any more."""
    provider, model = part.key[:2]
    known = context.services.router.providers.get(provider or "")
    return None if known is None or provider is None or model is None else Target(provider, model, known.kind)


def _work(context: Context, tier: Tier, target: Target, part: UsageSum, now_us: int) -> Work:
    router, quotes = context.services.router, context.services.quotes
    candidates = [
        Target(name, model, provider.kind)
        for name, provider in router.providers.items()
        if tier.includes_provider(name)
        for model in router.models(name)
        if tier.includes_model(model)
    ]
    book = quotes.book()
    fallbacks = router.in_place_of(target) if target in candidates else ()
    return cheaper(target, part, candidates, fallbacks, lambda other: book.find(other, now_us))


def _tier_advice(tier: Tier) -> TierAdvice:
    shown = shown_tier(tier)
    return TierAdvice(tier=shown.tier, name=shown.name, price=shown.price, limits=shown.limits)


def _action(tier: Tier, best: Tier | None) -> Literal["stay", "upgrade", "downgrade", "contact"]:
    if best is None:
        return "contact"
    if best.key == tier.key or best.price_nano == tier.price_nano:
        return "stay"
    return "upgrade" if best.price_nano > tier.price_nano else "downgrade"


def _model_advice(work: Work) -> ModelAdvice:
    return ModelAdvice(
        provider=work.target.provider,
        model=work.target.model,
        requests=work.requests,
        tokens=work.tokens,
        cost=number(work.cost_nano, USD),
        alternatives=[
            Alternative(
                provider=other.target.provider,
                model=other.target.model,
                cost=number(other.cost_nano, USD),
                saving=number(work.cost_nano - other.cost_nano, USD),
                saving_percent=percent(work.cost_nano - other.cost_nano, work.cost_nano),
                is_declared_fallback=other.is_fallback,
            )
            for other in work.others
        ],
    )


_FAULTS = (Forbidden, InvalidParams)

METHODS = [
    Method(
        "getBurnForecast",
        get_burn_forecast,
        scope="account:read",
        tool=Tool("How long the balance lasts"),
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "credits that nothing has used yet",
                {"asset": "CREDIT"},
                {"asset": "CREDIT", "currentBalance": 0.0, "projectedRunout": {}, "recommendations": []},
            ),
        ),
    ),
    Method(
        "getRecommendations",
        get_recommendations,
        scope="account:read",
        tool=Tool("Cheaper plans and models"),
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "for somebody who has used nothing", {}, {"currentSpend": 0.0, "models": [], "potentialSaving": 0.0}
            ),
        ),
    ),
]
