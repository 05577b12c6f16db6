"""What somebody has used: `getUsageStats`, `getUserUsage`, `getUsageAnalytics`, `getCreditUsage`. Reads only.

Shapes: the OpenSaaS document (S0-14, S0-36, S0-37), S3-14 by resource type, the virtual tokens document (S1-12), the credits
document (S4-25), and R33.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Result, Tool
from methods.money_shapes import number
from methods.reports_events import EventEntry, entry_of
from methods.reports_shapes import (
    Days,
    PeriodReport,
    RangeParams,
    ResourceTotals,
    ResourceUse,
    SumReport,
    WhoseParams,
    back_from_now,
    percent,
    period_report,
    quantity_of,
    range_of,
    resources_of,
    savings_members,
    sum_members,
    whose_of,
)
from monetization.periods import iso
from monetization.quota_desk import month_of_tokens
from monetization.reports.asking import Whose, folded, together
from monetization.reports.ranges import Range, named
from storage.records.money import CREDIT, USD
from storage.records.reports import UsageSum


class ProviderShare(Result):
    """One provider's part."""

    provider: str
    usage: float
    """In percent of the tokens (R33)."""
    tokens: int
    requests: int
    cost: float


class UsageStatsResult(Result):
    """What was used, and where the month's quota stands."""

    total_tokens: int
    total_cost: float
    total_platform_fees: float
    request_count: int
    quota_used: int | None = None
    """Absent for an organization, whose quotas `getQuotaStatus` shows."""
    quota_limit: int | None = None
    """Absent: nothing limits the month's tokens."""
    top_providers: list[ProviderShare]
    by_resource_type: list[ResourceUse]
    totals: ResourceTotals
    period: PeriodReport
    usage: SumReport


class ModelUsage(SumReport):
    """One model's part."""

    provider: str | None = None
    model: str | None = None


class UserUsageResult(SumReport):
    """A user's usage, by model."""

    user_id: str | None = None
    organization_id: str | None = None
    total_cost: float
    """Cost and platform fee."""
    by_model: list[ModelUsage]
    period: PeriodReport


class AnalyticsParams(WhoseParams):
    """How far back, and whether with the single calls."""

    days: Days = 30
    include_history: bool = False
    history_limit: Annotated[int, Field(ge=1, le=500)] = 50


class ProviderUsage(Result):
    """One provider's part in an analysis."""

    provider: str
    requests: int
    tokens: int
    cost_usd: float
    percentage: float
    models: list[str]


class KindUsage(Result):
    """What was used on one kind of key."""

    requests: int
    tokens: int
    estimated_cost_usd: float


class AnalyticsSummary(Result):
    """Everything together."""

    total_requests: int
    total_tokens: int
    estimated_total_cost_usd: float
    average_tokens_per_request: float
    provider_breakdown: list[ProviderUsage]
    subscription: KindUsage
    """On the platform's provider keys."""
    byok: KindUsage
    """On the caller's own provider keys: the cost is what those providers bill the caller."""
    savings: float | None = None
    """Where other models served than were asked for: what those would have charged more, net; negative: less. Absent: nothing."""
    savings_exact: str | None = None


class AnalyticsResult(Result):
    """Usage on the platform's keys and on own ones."""

    summary: AnalyticsSummary
    history: list[EventEntry] | None = None
    """The newest first; `listUsageEvents` pages on."""
    period: PeriodReport


class CreditProvider(Result):
    """One provider's part of a month."""

    tokens: int
    requests: int
    cost: float


class CreditUsageData(Result):
    """One month, as the credits document shows it."""

    month: str
    total_tokens: int
    total_requests: int
    total_cost: float
    total_credits: float
    """What was taken in credits."""
    by_provider: dict[str, CreditProvider]


class CreditUsageResult(Result):
    """The month so far."""

    success: Literal[True] = True
    data: CreditUsageData


async def get_usage_stats(context: Context, params: RangeParams) -> UsageStatsResult:
    """Tokens, requests, cost and fees of a period, with the providers that served most."""
    whose = whose_of(context, params)
    span = range_of(context, params.period, params.start_date, params.end_date, default="current_month")
    parts = await context.services.reports.parts(whose, span, ("provider", "unit"), where=params.where)
    total = together(parts)
    used, limit = await _quota(context, whose)
    return UsageStatsResult(
        total_tokens=total.usage.tokens_total,
        total_cost=number(total.cost_nano, USD),
        total_platform_fees=number(total.fee_nano, USD),
        request_count=total.requests,
        quota_used=used,
        quota_limit=limit,
        top_providers=_shares(folded(parts, 0), total),
        by_resource_type=resources_of(folded(parts, 1).values()),
        totals=ResourceTotals(total_events=total.requests, total_quantity=quantity_of(total)),
        period=period_report(span),
        usage=SumReport(**sum_members(total)),
    )


async def get_user_usage(context: Context, params: RangeParams) -> UserUsageResult:
    """What a user used in a period, model by model."""
    whose = whose_of(context, params)
    span = range_of(context, params.period, params.start_date, params.end_date, default="current_month")
    parts = await context.services.reports.parts(whose, span, ("provider", "model"), where=params.where)
    total = together(parts)
    return UserUsageResult(
        **sum_members(total),
        user_id=whose.user_id,
        organization_id=whose.organization_id,
        total_cost=number(total.cost_nano + total.fee_nano, USD),
        by_model=[ModelUsage(**sum_members(part), provider=part.key[0], model=part.key[1]) for part in parts],
        period=period_report(span),
    )


async def get_usage_analytics(context: Context, params: AnalyticsParams) -> AnalyticsResult:
    """Usage on the platform's provider keys and on own ones, by provider and model."""
    whose, span = whose_of(context, params), back_from_now(context, params.days)
    reports = context.services.reports
    parts = await reports.parts(whose, span, ("provider", "model", "caller_kind"))
    page = await reports.events(whose, span, limit=params.history_limit) if params.include_history else None
    return AnalyticsResult(
        summary=_summary(parts),
        history=None if page is None else [entry_of(row) for row in page.rows],
        period=period_report(span),
    )


async def get_credit_usage(context: Context, params: WhoseParams) -> CreditUsageResult:
    """The calendar month so far, provider by provider."""
    whose = whose_of(context, params)
    span = named("current_month", context.services.reports.clock_us())
    parts = await context.services.reports.parts(whose, span, ("provider",))
    return CreditUsageResult(data=_month(span, parts))


def _month(span: Range, parts: tuple[UsageSum, ...]) -> CreditUsageData:
    total = together(parts)
    return CreditUsageData(
        month=iso(span.since_us),
        total_tokens=total.usage.tokens_total,
        total_requests=total.requests,
        total_cost=number(total.cost_nano, USD),
        total_credits=number(total.charged.get(CREDIT, 0), CREDIT),
        by_provider={
            provider: CreditProvider(
                tokens=part.usage.tokens_total, requests=part.requests, cost=number(part.cost_nano, USD)
            )
            for part in parts
            if (provider := part.key[0]) is not None
        },
    )


async def _quota(context: Context, whose: Whose) -> tuple[int | None, int | None]:
    """Used and limit of a user's tokens this month, by the quota that stands in the ledger."""
    if whose.organization_id is not None or whose.user_id is None:
        return None, None
    caller, services = context.caller, context.services
    known = caller if whose.user_id == caller.user_id else await services.eligibility.caller(whose.user_id)
    own = month_of_tokens(await services.quotas.of_user(known), f"user:{whose.user_id}")
    if own is not None:
        return own.used, own.limit
    month = await services.money.statements.month(f"user:{whose.user_id}", services.reports.clock_us())
    return month.tokens, None


def _shares(parts: Mapping[str | None, UsageSum], total: UsageSum) -> list[ProviderShare]:
    found = sorted(parts.items(), key=lambda one: (-one[1].usage.tokens_total, -one[1].requests, one[0] or ""))
    return [
        ProviderShare(
            provider=provider,
            usage=percent(part.usage.tokens_total, total.usage.tokens_total),
            tokens=part.usage.tokens_total,
            requests=part.requests,
            cost=number(part.cost_nano, USD),
        )
        for provider, part in found
        if provider is not None
    ]


def _summary(parts: tuple[UsageSum, ...]) -> AnalyticsSummary:
    total = together(parts)
    tokens = total.usage.tokens_total
    own = together([part for part in parts if part.key[2] == "byok"])
    ours = together([part for part in parts if part.key[2] != "byok"])
    models: dict[str | None, set[str]] = {}
    for provider, model, _ in (part.key for part in parts):
        models.setdefault(provider, set()).update(() if model is None else (model,))
    return AnalyticsSummary(
        total_requests=total.requests,
        total_tokens=tokens,
        estimated_total_cost_usd=number(total.cost_nano, USD),
        average_tokens_per_request=round(tokens / total.requests, 2) if total.requests else 0.0,
        provider_breakdown=[
            ProviderUsage(
                provider=provider,
                requests=part.requests,
                tokens=part.usage.tokens_total,
                cost_usd=number(part.cost_nano, USD),
                percentage=percent(part.usage.tokens_total, tokens),
                models=sorted(models[provider]),
            )
            for provider, part in folded(parts, 0).items()
            if provider is not None
        ],
        subscription=_kind(ours),
        byok=_kind(own),
        **savings_members(total),
    )


def _kind(total: UsageSum) -> KindUsage:
    return KindUsage(
        requests=total.requests,
        tokens=total.usage.tokens_total,
        estimated_cost_usd=number(total.cost_nano, USD),
    )


_FAULTS = (Forbidden, InvalidParams)

METHODS = [
    Method(
        "getUsageStats",
        get_usage_stats,
        scope="account:read",
        tool=Tool("Usage of a period"),
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "the month so far",
                {"period": "current_month"},
                {
                    "totalTokens": 15256, "totalCost": 12.45, "totalPlatformFees": 2.49, "requestCount": 89,
                    "quotaUsed": 15256, "quotaLimit": 50000,
                    "topProviders": [{"provider": "anthropic", "usage": 65.0, "tokens": 9916}],
                    "byResourceType": [{"resourceType": "token", "eventCount": 89, "totalQuantity": 15256.0}],
                    "totals": {"totalEvents": 89, "totalQuantity": 15256.0},
                },
            ),
        ),
    ),
    Method(
        "getUserUsage",
        get_user_usage,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(Example("a new user's month", {"period": "current_month"}, {"requests": 0, "byModel": []}),),
    ),
    Method(
        "getUsageAnalytics",
        get_usage_analytics,
        scope="account:read",
        access=Access.REQUIRED,
        aliases=("billing.getUsageAnalytics", "user.getUsageAnalytics"),
        faults=_FAULTS,
        examples=(
            Example(
                "thirty days with the single calls",
                {"days": 30, "includeHistory": True},
                {"summary": {"totalRequests": 0, "totalTokens": 0, "estimatedTotalCostUsd": 0.0}, "history": []},
            ),
        ),
    ),
    Method(
        "getCreditUsage",
        get_credit_usage,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example("the month so far", {}, {"success": True, "data": {"totalTokens": 0, "byProvider": {}}}),
        ),
    ),
]  # fmt: skip
