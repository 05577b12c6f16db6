"""Usage over time: `getUsageTimeSeries`, `getUsageTrends`. Reads only.

Shapes: S3-15 for the series, whose rows name the resource type when they are grouped by it; a bucket without use is a row of
zeros, so that a chart needs no arithmetic.
"""

from typing import Literal
from zoneinfo import ZoneInfo

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Result, Tool
from methods.money_shapes import number
from methods.reports_shapes import (
    TOKENS,
    Days,
    NarrowedParams,
    PeriodReport,
    RangeParams,
    SumReport,
    Zone,
    buckets_of,
    period_report,
    quantity_of,
    range_of,
    sum_members,
    sum_report,
    whose_of,
    zone_named,
)
from monetization.reports.asking import TooManyGroups, Whose, together
from monetization.reports.forecasts import Pace
from monetization.reports.ranges import DAY_US, Interval, Range, local_iso
from storage.records.money import USD
from storage.records.reports import Dim, UsageSum

GroupBy = Literal["provider", "model", "method", "feature", "tier", "eventType", "outcome", "source", "resourceType"]
_DIMS: dict[GroupBy, Dim] = {
    "provider": "provider",
    "model": "model",
    "method": "method",
    "feature": "feature",
    "tier": "tier",
    "eventType": "kind",
    "outcome": "outcome",
    "source": "source",
    "resourceType": "unit",
}
_POINTS_MAX = 20_000
_STEADY_PERCENT = 10


class SeriesParams(RangeParams):
    """Which usage, over which time, in which steps."""

    interval: Interval = "day"
    timezone: Zone | None = None
    """Whose clock the buckets follow. Absent: UTC."""
    group_by: GroupBy | None = None
    """A row for every value in every bucket. Absent: one row for each bucket."""


class SeriesRow(SumReport):
    """One bucket."""

    date: str
    """Where it begins, as the zone's clock shows it."""
    group: str | None = None
    """The value of `groupBy`; absent where the usage has none, or nothing was grouped."""
    resource_type: str | None = None
    """The same where `groupBy` is `resourceType`: `token`, or the unit of events."""
    event_count: int
    """The same as `requests`, under S3's name."""
    total_quantity: float
    """Tokens, and whatever was counted in other units."""


class SeriesResult(Result):
    """A series without gaps, the oldest bucket first."""

    interval: Interval
    timezone: str
    group_by: GroupBy | None = None
    data: list[SeriesRow]
    totals: SumReport
    period: PeriodReport


class TrendParams(NarrowedParams):
    """How long the time is that is compared with the one before it."""

    days: Days = 30
    timezone: Zone | None = None


class Change(Result):
    """Against the time before, in percent; absent where there was nothing to compare with."""

    requests: int | None = None
    tokens: int | None = None
    cost: int | None = None


class TrendDay(Result):
    """One day."""

    date: str
    requests: int
    tokens: int
    cost: float


class TrendsResult(Result):
    """A time, the one before it, and how they differ."""

    current: SumReport
    previous: SumReport
    change_percent: Change
    trend: Literal["rising", "falling", "steady", "new", "none"]
    """By tokens: more than a tenth up or down; `new`: there was nothing before; `none`: there is nothing now either."""
    data: list[TrendDay]
    period: PeriodReport


async def get_usage_time_series(context: Context, params: SeriesParams) -> SeriesResult:
    """Usage by minute, hour, day, week or month, in any time zone, gaps filled with zeros."""
    whose, zone = whose_of(context, params), zone_named(params.timezone)
    span = range_of(context, params.period, params.start_date, params.end_date, zone=zone)
    edges = buckets_of(params.interval, span, zone)
    rows = await _rows(context, whose, params, edges)
    return SeriesResult(
        interval=params.interval,
        timezone=zone.key,
        group_by=params.group_by,
        data=[_row(part, zone, params.group_by) for part in rows],
        totals=sum_report(together(rows)),
        period=period_report(span),
    )


async def get_usage_trends(context: Context, params: TrendParams) -> TrendsResult:
    """A number of days up to now beside as many before them."""
    whose, zone, reports = whose_of(context, params), zone_named(params.timezone), context.services.reports
    now_us = reports.clock_us() + 1
    span = Range(now_us - params.days * DAY_US, now_us)
    before = Range(span.since_us - params.days * DAY_US, span.since_us)
    series = await reports.series(whose, buckets_of("day", span, zone), params.where)
    current, previous = together(series), await reports.total(whose, before, params.where)
    change = Change(
        requests=_change(current.requests, previous.requests),
        tokens=_change(current.usage.tokens_total, previous.usage.tokens_total),
        cost=_change(current.cost_nano, previous.cost_nano),
    )
    return TrendsResult(
        current=sum_report(current),
        previous=sum_report(previous),
        change_percent=change,
        trend=_trend(change.tokens, current),
        data=[
            TrendDay(
                date=local_iso(part.start_us, zone),
                requests=part.requests,
                tokens=part.usage.tokens_total,
                cost=number(part.cost_nano, USD),
            )
            for part in series
        ],
        period=period_report(span),
    )


async def _rows(context: Context, whose: Whose, params: SeriesParams, edges: tuple[int, ...]) -> list[UsageSum]:
    """The rows of a series: bucket by bucket, and in each the groups in the order of their names."""
    reports = context.services.reports
    if params.group_by is None:
        return list(await reports.series(whose, edges, params.where))
    buckets = len(edges) - 1
    most = _POINTS_MAX // buckets
    try:
        groups = await reports.series_by(whose, edges, _DIMS[params.group_by], params.where, groups_max=most)
    except TooManyGroups:
        raise InvalidParams(
            f"groupBy: more than {most} groups in {buckets} buckets are too many; narrow or shorten the range"
        ) from None
    return [part for bucket in zip(*groups.values(), strict=True) for part in bucket]


def _row(part: UsageSum, zone: ZoneInfo, group_by: GroupBy | None) -> SeriesRow:
    group = part.key[0] if part.key else None
    resource = None if group_by != "resourceType" else group or TOKENS
    return SeriesRow(
        **sum_members(part),
        date=local_iso(part.start_us, zone),
        group=group if resource is None else resource,
        resource_type=resource,
        event_count=part.requests,
        total_quantity=quantity_of(part),
    )


def _change(now: int, before: int) -> int | None:
    return Pace(now, 1, before).change_percent


def _trend(change: int | None, current: UsageSum) -> Literal["rising", "falling", "steady", "new", "none"]:
    if change is None:
        return "new" if current.requests else "none"
    return "rising" if change > _STEADY_PERCENT else "falling" if change < -_STEADY_PERCENT else "steady"


_FAULTS = (Forbidden, InvalidParams)

METHODS = [
    Method(
        "getUsageTimeSeries",
        get_usage_time_series,
        scope="account:read",
        tool=Tool("Usage over time"),
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "a week by days in Berlin",
                {"period": "last_7_days", "interval": "day", "timezone": "Europe/Berlin"},
                {"interval": "day", "timezone": "Europe/Berlin", "data": []},
            ),
        ),
    ),
    Method(
        "getUsageTrends",
        get_usage_trends,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(Example("a week beside the one before", {"days": 7}, {"trend": "none", "data": []}),),
    ),
]
