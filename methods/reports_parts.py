"""Usage and margin split into every part at once: `getUsageBreakdown`, `getMarginBreakdown`. Reads only.

Shapes: OpenMonetize's usage analytics ({summary, byFeature, byProvider, byEventType, timeline}) and cost analytics ({summary,
byProvider}). Counts of tokens, credits and dollars are strings there, and exact here.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Result
from methods.money_shapes import text
from methods.reports_shapes import (
    PeriodReport,
    RangeParams,
    Zone,
    buckets_of,
    percent,
    period_report,
    range_of,
    whose_of,
    zone_named,
)
from monetization.charging.policies import dollars, revenue_of
from monetization.reports.asking import Whose, folded, together
from monetization.reports.ranges import local_iso
from storage.records.money import CREDIT
from storage.records.reports import UsageSum

_PARTS_MAX = 500
_DATE_CHARS = 10


class UsagePartsParams(RangeParams):
    """Which usage, and how long the steps of its timeline are."""

    group_by: Literal["day", "week", "month"] = "day"
    timezone: Zone | None = None
    """Whose clock the timeline follows. Absent: UTC."""


class MarginPartsParams(RangeParams):
    """Which usage."""


class UsageTotals(Result):
    """Everything together."""

    total_events: int
    total_input_tokens: str
    total_output_tokens: str
    total_credits_burned: str
    total_cost_usd: str
    """What the providers billed."""


class FeaturePart(Result):
    """What one feature of the application used."""

    feature_id: str | None = None
    """Absent: usage that names no feature."""
    event_count: int
    credits_burned: str
    cost_usd: str


class KindPart(Result):
    """What one kind of usage came to."""

    event_type: str
    event_count: int
    credits_burned: str
    cost_usd: str


class ModelPart(Result):
    """What one model of one provider did."""

    provider: str
    model: str
    event_count: int
    input_tokens: str
    output_tokens: str


class TimelinePart(Result):
    """One step in time; one without use is shown with zeros."""

    date: str
    """The day on which it begins."""
    events: int
    credits_burned: str


class UsagePartsResult(Result):
    """Usage by feature, by model, by kind and over time; of each at most 500 parts, the greatest first."""

    summary: UsageTotals
    by_feature: list[FeaturePart]
    by_provider: list[ModelPart]
    by_event_type: list[KindPart]
    timeline: list[TimelinePart]
    period: PeriodReport


class MarginTotals(Result):
    """Everything together, in dollars."""

    total_revenue: str
    """What the usage is worth to the operator: credits at their value, overage, for tokens the cost with the platform's fee."""
    total_provider_cost: str
    """Without what providers billed callers on their own keys."""
    total_margin: str
    margin_percent: float
    """Of the revenue."""


class MarginPart(Result):
    """What one model of one provider brought, in dollars."""

    provider: str
    model: str
    provider_cost: str
    revenue: str
    margin: str


class MarginPartsResult(Result):
    """The margin of what was used, model by model; at most 500 of them, the dearest first."""

    summary: MarginTotals
    by_provider: list[MarginPart]
    period: PeriodReport


async def get_usage_breakdown(context: Context, params: UsagePartsParams) -> UsagePartsResult:
    """Usage of a time by feature, model, kind and date. With the scope `users:read` and nobody named: everybody's."""
    whose, zone, reports = _everybody_or(context, params), zone_named(params.timezone), context.services.reports
    span = range_of(context, params.period, params.start_date, params.end_date, zone=zone)
    edges = buckets_of(params.group_by, span, zone)
    parts = await reports.parts(whose, span, ("kind", "provider", "model"), where=params.where)
    _, features = await reports.dearest(whose, span, "feature", _PARTS_MAX, params.where)
    steps = await reports.series(whose, edges, params.where)
    kinds = _dearest(folded(parts, 0).values())
    return UsagePartsResult(
        summary=_totals(together(parts)),
        by_feature=[FeaturePart(feature_id=part.key[0], **_figures(part)) for part in _dearest(features)],
        by_provider=[
            ModelPart(
                provider=provider,
                model=model,
                event_count=part.requests,
                input_tokens=str(part.usage.tokens_input),
                output_tokens=str(part.usage.tokens_output),
            )
            for (provider, model), part in _by_model(parts, 1)
        ],
        by_event_type=[KindPart(event_type=part.key[0] or "", **_figures(part)) for part in kinds],
        timeline=[
            TimelinePart(
                date=local_iso(step.start_us, zone)[:_DATE_CHARS], events=step.requests, credits_burned=_credits(step)
            )
            for step in steps
        ],
        period=period_report(span),
    )


async def get_margin_breakdown(context: Context, params: MarginPartsParams) -> MarginPartsResult:
    """What usage brought the operator and what its providers billed, model by model. Nobody named: everybody's."""
    span = range_of(context, params.period, params.start_date, params.end_date)
    whose = Whose(params.user_id, params.organization_id)
    parts = await context.services.reports.parts(
        whose, span, ("provider", "model", "caller_kind", "charge_asset"), where=params.where
    )
    revenue, cost = _margin(context, parts)
    margins = [(names, _margin(context, group)) for names, group in _groups(parts, 0).items()]
    margins.sort(key=lambda one: (-one[1][0], -one[1][1], one[0]))
    return MarginPartsResult(
        summary=MarginTotals(
            total_revenue=dollars(revenue),
            total_provider_cost=dollars(cost),
            total_margin=dollars(revenue - cost),
            margin_percent=percent(revenue - cost, revenue),
        ),
        by_provider=[
            MarginPart(
                provider=provider,
                model=model,
                provider_cost=dollars(billed),
                revenue=dollars(brought),
                margin=dollars(brought - billed),
            )
            for (provider, model), (brought, billed) in margins[:_PARTS_MAX]
        ],
        period=period_report(span),
    )


def _everybody_or(context: Context, params: RangeParams) -> Whose:
    """Whose usage: for whoever may read everybody's, nobody named means everybody. Raises: Forbidden, InvalidParams."""
    is_named = params.user_id is not None or params.organization_id is not None
    return whose_of(context, params) if is_named or not context.caller.may("users:read") else Whose()


def _margin(context: Context, parts: Sequence[UsageSum]) -> tuple[int, int]:
    """Revenue and what the operator's providers billed, in nano dollars; parts by caller kind and charged asset."""
    rules = context.services.quotes.rules
    revenue = cost = 0
    for part in parts:
        if part.key[2] == "byok":
            continue  # the bill is the caller's own
        cost += part.cost_nano
        asset = part.key[3] or ("TOKEN" if part.fee_nano else None)  # units that use up no tokens still bear their fee
        revenue += revenue_of(rules, asset, part.charged.get(asset or "", 0), part.cost_nano, part.fee_nano)
    return revenue, cost


def _groups(parts: Sequence[UsageSum], place: int) -> dict[tuple[str, str], list[UsageSum]]:
    """The parts of each model; usage without a provider or a model is in none."""
    groups: dict[tuple[str, str], list[UsageSum]] = {}
    for part in parts:
        provider, model = part.key[place], part.key[place + 1]
        if provider is not None and model is not None:
            groups.setdefault((provider, model), []).append(part)
    return groups


def _by_model(parts: Sequence[UsageSum], place: int) -> list[tuple[tuple[str, str], UsageSum]]:
    """Sums of models, the one with the most tokens first."""
    sums = [(names, together(group)) for names, group in _groups(parts, place).items()]
    return sorted(sums, key=lambda one: (-one[1].usage.tokens_total, -one[1].requests, one[0]))[:_PARTS_MAX]


def _dearest(parts: Iterable[UsageSum]) -> list[UsageSum]:
    found = sorted(parts, key=lambda part: (-part.cost_nano, -part.requests, part.key[0] or ""))
    return found[:_PARTS_MAX]


def _totals(total: UsageSum) -> UsageTotals:
    return UsageTotals(
        total_events=total.requests,
        total_input_tokens=str(total.usage.tokens_input),
        total_output_tokens=str(total.usage.tokens_output),
        total_credits_burned=_credits(total),
        total_cost_usd=dollars(total.cost_nano),
    )


def _figures(part: UsageSum) -> dict[str, object]:
    return {
        "event_count": part.requests,
        "credits_burned": _credits(part),
        "cost_usd": dollars(part.cost_nano),
    }


def _credits(part: UsageSum) -> str:
    return text(part.charged.get(CREDIT, 0), CREDIT)


_FAULTS = (Forbidden, InvalidParams)

METHODS = [
    Method(
        "getUsageBreakdown",
        get_usage_breakdown,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "a week of somebody who has used nothing",
                {"period": "last_7_days", "groupBy": "day"},
                {"byFeature": [], "byProvider": [], "byEventType": []},
            ),
        ),
    ),
    Method(
        "getMarginBreakdown",
        get_margin_breakdown,
        scope="users:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "the month so far of a new installation",
                {"period": "current_month"},
                {"byProvider": []},
            ),
        ),
    ),
]
