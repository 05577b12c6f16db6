"""What the operator's business comes to: `getAdminAnalytics`. Reads only (S0-14, S0-48, S4-36)."""

from typing import Annotated

from pydantic import Field

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Result
from methods.money_shapes import number, text
from methods.reports_shapes import (
    PeriodReport,
    RangeParams,
    SumReport,
    percent,
    period_report,
    range_of,
    sum_members,
    sum_report,
)
from monetization.reports.asking import Whose, folded, together
from monetization.reports.business import Purchases, Subscribers, revenue_nano
from monetization.reports.ranges import Range
from storage.records.fact import fact
from storage.records.money import CREDIT, USD
from storage.records.reports import UsageSum


class AdminParams(RangeParams):
    """Which usage, over which time, and how many of the greatest users are named.

    Narrowed to somebody or something, the answer tells of usage and its cost alone: what customers pay and who they are is not
    divided by providers, models or users.
    """

    top: Annotated[int, Field(ge=1, le=100)] = 10


class Revenue(Result):
    """Money owed by customers for the time, in dollars."""

    total: float
    total_exact: str
    purchases: float
    """Single ones, less refunds."""
    subscription_payments: float
    """Kept as purchases of the type `subscription`; `subscriptions` stands for them in the total."""
    refunds: float
    overage: float
    subscriptions: float
    """Of those live at the end of the time, at their tiers' prices, a month's price counted for 30 days; trials bring none.

    Days to come bring nothing yet.
    """
    monthly_recurring: float
    credits_used_value: float
    """What the credits that calls took are worth; a part of what was bought, so it is not in the total."""


class Margin(Result):
    """What is left after the providers."""

    provider_cost: float
    provider_cost_exact: str
    own_key_cost: float
    """What the providers billed callers on their own keys: not the operator's, so it is not in the margin."""
    platform_fees: float
    profit: float | None = None
    """Absent, as its two fellows: usage was narrowed."""
    profit_exact: str | None = None
    margin_percent: float | None = None
    """Absent also without revenue, of which no share can be told."""


class Customers(Result):
    """Users and subscribers."""

    active_users: int
    """Who used something in the time."""
    average_revenue_per_user: float
    average_cost_per_user: float
    """Of the provider cost, callers' own keys left out."""
    subscribers: int
    """At the end of the time."""
    subscribers_by_tier: dict[str, int]
    started: int
    churned: int
    churn_percent: float
    """Of the subscribers at the beginning of the time."""
    upgrades: int
    downgrades: int
    upgrade_percent: float
    purchases: int
    buyers: int


class Quality(Result):
    """How calls went."""

    error_rate_percent: float
    partial_requests: int
    estimated_requests: int
    average_latency_ms: float | None = None
    average_first_byte_ms: float | None = None


class Top(SumReport):
    """One of the greatest."""

    name: str
    percentage: float
    """Of all tokens."""


class ModelTop(Top):
    """A model, with its provider."""

    provider: str


class AdminResult(Result):
    """The whole installation in one answer."""

    summary: SumReport
    revenue: Revenue | None = None
    """Absent: usage was narrowed."""
    margin: Margin
    users: Customers | None = None
    """Absent: usage was narrowed."""
    quality: Quality
    by_tier: list[Top]
    top_users: list[Top]
    top_providers: list[Top]
    top_models: list[ModelTop]
    top_features: list[Top]
    period: PeriodReport


@fact
class _Money:
    """What customers owe for the time."""

    purchases: Purchases
    subscribers: Subscribers
    subscribed_nano: int
    revenue_nano: int


async def get_admin_analytics(context: Context, params: AdminParams) -> AdminResult:
    """Revenue, cost, margin, customers, errors and the greatest users, providers, models and tiers of a time."""
    span = _span(context, params)
    reports = context.services.reports
    whose = Whose(params.user_id, params.organization_id)
    parts = await reports.parts(whose, span, ("provider", "model", "tier", "caller_kind"), where=params.where)
    features = await reports.top_features(whose, span, params.top, params.where)
    users = await reports.top_users(whose, span, params.top, params.where)
    total, own = together(parts), together([part for part in parts if part.key[3] == "byok"])
    money = None if whose != Whose() or params.where else await _money(context, total, span)
    cost = total.cost_nano - own.cost_nano
    return AdminResult(
        summary=sum_report(total),
        revenue=None if money is None else _shown_revenue(context, total, money),
        margin=_margin(total, own.cost_nano, money),
        users=None if money is None else _customers(money, cost, users.count),
        quality=_quality(total),
        by_tier=_tops(parts, 2, total, len(parts)),
        top_users=[_top(part, part.key[0] or "anonymous", total) for part in users.sums],
        top_providers=_tops(parts, 0, total, params.top),
        top_models=_models(parts, total, params.top),
        top_features=[_top(part, part.key[0] or "", total) for part in features],
        period=period_report(span),
    )


async def _money(context: Context, total: UsageSum, span: Range) -> _Money:
    reports = context.services.reports
    business, passed = reports.business, span.so_far(reports.clock_us())
    purchases, subscribers = await business.purchases(span), await business.subscribers(context.services.tiers(), span)
    subscribed = subscribers.revenue_nano(passed)
    return _Money(purchases, subscribers, subscribed, revenue_nano(total, purchases, subscribers, passed))


def _span(context: Context, params: AdminParams) -> Range:
    return range_of(context, params.period, params.start_date, params.end_date, default="current_month")


def _shown_revenue(context: Context, total: UsageSum, money: _Money) -> Revenue:
    purchases, subscribers = money.purchases, money.subscribers
    value = total.charged.get(CREDIT, 0) * context.services.quotes.rules.credit_value_nano // 10**9
    return Revenue(
        total=number(money.revenue_nano, USD),
        total_exact=text(money.revenue_nano, USD),
        purchases=number(purchases.net_nano, USD),
        subscription_payments=number(purchases.subscribed_nano, USD),
        refunds=number(purchases.refunded_nano, USD),
        overage=number(total.charged.get(USD, 0), USD),
        subscriptions=number(money.subscribed_nano, USD),
        monthly_recurring=number(subscribers.recurring_nano, USD),
        credits_used_value=number(value, USD),
    )


def _margin(total: UsageSum, own: int, money: _Money | None) -> Margin:
    cost = total.cost_nano - own
    revenue = None if money is None else money.revenue_nano
    profit = None if revenue is None else revenue - cost
    return Margin(
        provider_cost=number(cost, USD),
        provider_cost_exact=text(cost, USD),
        own_key_cost=number(own, USD),
        platform_fees=number(total.fee_nano, USD),
        profit=None if profit is None else number(profit, USD),
        profit_exact=None if profit is None else text(profit, USD),
        margin_percent=percent(profit, revenue) if profit is not None and revenue else None,
    )


def _customers(money: _Money, cost: int, active: int) -> Customers:
    purchases, subscribers = money.purchases, money.subscribers
    return Customers(
        active_users=active,
        average_revenue_per_user=number(money.revenue_nano // active, USD) if active else 0.0,
        average_cost_per_user=number(cost // active, USD) if active else 0.0,
        subscribers=subscribers.live,
        subscribers_by_tier=dict(sorted(subscribers.by_tier.items())),
        started=subscribers.started,
        churned=subscribers.churned,
        churn_percent=percent(subscribers.churned, subscribers.at_start),
        upgrades=subscribers.upgraded,
        downgrades=subscribers.downgraded,
        upgrade_percent=percent(subscribers.upgraded, subscribers.at_start),
        purchases=purchases.count,
        buyers=purchases.buyers,
    )


def _quality(total: UsageSum) -> Quality:
    return Quality(
        error_rate_percent=percent(total.failed, total.requests),
        partial_requests=total.partial,
        estimated_requests=total.estimated,
        average_latency_ms=round(total.latency_us / total.requests / 1_000, 2) if total.requests else None,
        average_first_byte_ms=round(total.first_byte_us / total.first_bytes / 1_000, 2) if total.first_bytes else None,
    )


def _tops(parts: tuple[UsageSum, ...], place: int, total: UsageSum, count: int) -> list[Top]:
    found = sorted(
        (part for value, part in folded(parts, place).items() if value is not None),
        key=lambda part: (-part.usage.tokens_total, part.key[0]),
    )
    return [_top(part, part.key[0] or "", total) for part in found[:count]]


def _models(parts: tuple[UsageSum, ...], total: UsageSum, count: int) -> list[ModelTop]:
    groups: dict[tuple[str, str], list[UsageSum]] = {}
    for part in parts:
        provider, model = part.key[0], part.key[1]
        if provider is not None and model is not None:
            groups.setdefault((provider, model), []).append(part)
    found = sorted(
        ((names, together(group)) for names, group in groups.items()),
        key=lambda one: (-one[1].usage.tokens_total, one[0]),
    )
    return [
        ModelTop(
            **sum_members(part),
            name=model,
            provider=provider,
            percentage=percent(part.usage.tokens_total, total.usage.tokens_total),
        )
        for (provider, model), part in found[:count]
    ]


def _top(part: UsageSum, name: str, total: UsageSum) -> Top:
    share = percent(part.usage.tokens_total, total.usage.tokens_total)
    return Top(**sum_members(part), name=name, percentage=share)


METHODS = [
    Method(
        "getAdminAnalytics",
        get_admin_analytics,
        scope="users:read",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidParams),
        examples=(
            Example(
                "the month so far of a new installation",
                {"period": "current_month"},
                {"summary": {"requests": 0}, "topUsers": [], "topModels": []},
            ),
        ),
    ),
]
