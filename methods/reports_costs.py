"""Where money went: `getCostBreakdown`, `getOverageCharges`. Reads only (S4-30; OpenMonetize's cost breakdown)."""

from typing import Literal

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Result, Tool
from methods.money_shapes import beyond, number, text
from methods.reports_shapes import (
    PeriodReport,
    RangeParams,
    SumReport,
    WhoseParams,
    percent,
    period_report,
    range_of,
    standing_of,
    sum_members,
    sum_report,
    whose_of,
)
from monetization.periods import iso
from monetization.reports.asking import Whose
from monetization.reports.ranges import named
from storage.records.money import USD
from storage.records.reports import Dim

By = Literal["provider", "model", "feature", "method", "eventType", "key", "user", "tier", "source"]
_DIMS: dict[By, Dim] = {
    "provider": "provider",
    "model": "model",
    "feature": "feature",
    "method": "method",
    "eventType": "kind",
    "key": "key_id",
    "user": "user_id",
    "tier": "tier",
    "source": "source",
}
_PARTS_MAX = 500


class BreakdownParams(RangeParams):
    """Which usage, and what it is split by."""

    by: By = "provider"


class CostPart(SumReport):
    """One part."""

    key: str | None = None
    """Absent: usage without a value of that kind."""
    percentage: float
    """Of the whole cost."""


class BreakdownResult(Result):
    """Cost by one dimension, the dearest part first; at most 500 parts, while the summary is of all."""

    by: By
    summary: SumReport
    breakdown: list[CostPart]
    period: PeriodReport


class OverageData(Result):
    """What was used past the month's quota, at the plan's price."""

    month: str
    tier: str
    enabled: bool
    """Whether the plan serves calls past its quota."""
    price_per_million_usd: str | None = None
    overage_requests: int
    overage_tokens: int
    overage_charges: float
    overage_charges_exact: str
    owed: float
    """What of it no payment has covered yet."""


class OverageResult(Result):
    """The month so far."""

    success: Literal[True] = True
    data: OverageData


async def get_cost_breakdown(context: Context, params: BreakdownParams) -> BreakdownResult:
    """What the providers billed in a period, by provider, model, feature, method, event type, key, user, tier or source."""
    whose = whose_of(context, params)
    if params.by == "user" and whose.organization_id is None and not context.caller.may("users:read"):
        raise beyond("users:read", "usage by user", "choose another value for by")
    span = range_of(context, params.period, params.start_date, params.end_date, default="current_month")
    total, parts = await context.services.reports.dearest(whose, span, _DIMS[params.by], _PARTS_MAX, params.where)
    dearest = sorted(parts, key=lambda part: (-part.cost_nano, -part.usage.tokens_total))[:_PARTS_MAX]
    return BreakdownResult(
        by=params.by,
        summary=sum_report(total),
        breakdown=[
            CostPart(**sum_members(part), key=part.key[0], percentage=percent(part.cost_nano, total.cost_nano))
            for part in dearest
        ],
        period=period_report(span),
    )


async def get_overage_charges(context: Context, params: WhoseParams) -> OverageResult:
    """What calls past the month's quota have cost so far this month."""
    whose, services = standing_of(context, params), context.services
    span = named("current_month", services.reports.clock_us())
    tier = services.tiers().of(await _tier_of(context, whose))
    total = await services.reports.total(whose, span, {"charge_asset": USD})
    charged = total.charged.get(USD, 0)
    price = tier.overage_nano_per_million
    return OverageResult(
        data=OverageData(
            month=iso(span.since_us),
            tier=tier.key,
            enabled=price is not None,
            price_per_million_usd=None if price is None else text(price, USD),
            overage_requests=total.requests,
            overage_tokens=total.usage.tokens_total,
            overage_charges=number(charged, USD),
            overage_charges_exact=text(charged, USD),
            owed=number(await _owed(context, whose), USD),
        )
    )


async def _tier_of(context: Context, whose: Whose) -> str:
    """The tier that a user's calls are charged by; of an organization, the caller's own."""
    caller = context.caller
    if whose.user_id is None or whose.user_id == caller.user_id:
        return caller.tier
    return (await context.services.eligibility.caller(whose.user_id)).tier


async def _owed(context: Context, whose: Whose) -> int:
    statements = context.services.money.statements
    if whose.user_id is None:
        assert whose.organization_id is not None, "an overage belongs to a user or to a pool"
        standing = await statements.pool(whose.organization_id, USD)
    else:
        standing = await statements.standing(whose.user_id, USD)
    return max(0, -standing.balance.posted)


_FAULTS = (Forbidden, InvalidParams)

METHODS = [
    Method(
        "getCostBreakdown",
        get_cost_breakdown,
        scope="account:read",
        tool=Tool("What providers billed, by part"),
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(Example("the month by model", {"by": "model"}, {"by": "model", "breakdown": []}),),
    ),
    Method(
        "getOverageCharges",
        get_overage_charges,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example("a plan without overage", {}, {"success": True, "data": {"enabled": False, "overageCharges": 0.0}}),
        ),
    ),
]
