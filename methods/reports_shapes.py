"""What reports share: whose usage they are about, over which time, and sums as JSON. No method here."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from methods.context import Context
from methods.errors import InvalidParams
from methods.method import Params, Result
from methods.money_shapes import Name, UserId, beyond, number, organization_alone, text, us_of, user_of
from methods.organizations import OrganizationId
from monetization.periods import iso
from monetization.reports.asking import Whose
from monetization.reports.ranges import (
    DAY_US,
    Interval,
    Named,
    Range,
    TooManyBuckets,
    edges_of,
    last_days,
    named,
    zone_of,
)
from storage.records.money import USD
from storage.records.reports import Dim, UsageSum

Days = Annotated[int, Field(ge=1, le=400)]
Zone = Annotated[str, Field(min_length=1, max_length=64, description="A time zone by its IANA name, as Europe/Berlin.")]
UTC_ZONE: Final = ZoneInfo("UTC")
TOKENS: Final = "token"
"""The resource type of what has no unit of its own."""
_RANGE_DAYS_MAX: Final = 5 * 366
_YEARS: Final = range(1900, 2200)
"""Years that a report may reach into; far from them neither calendars nor clocks of zones go on."""


class WhoseParams(Params):
    """Whose usage. Absent: the caller's own."""

    user_id: UserId | None = None
    """Another user needs the scope `users:read`."""
    organization_id: OrganizationId | None = None
    """All of an organization's: for its own admins, and with the scope `users:read`."""


class NarrowedParams(WhoseParams):
    """Which usage."""

    provider: Name | None = None
    """In any case (R30)."""
    model: Name | None = None
    feature: Name | None = None
    method: Name | None = None
    resource_type: Name | None = None
    """What was counted: `token`, or the unit of an event, as `image` or `page`."""

    @property
    def where(self) -> dict[Dim, str | None]:
        """What the rows must have."""
        given: dict[Dim, str | None] = {
            "provider": None if self.provider is None else self.provider.lower(),
            "model": self.model,
            "feature": self.feature,
            "method": self.method,
        }
        found: dict[Dim, str | None] = {dim: value for dim, value in given.items() if value is not None}
        if self.resource_type is not None:
            unit = self.resource_type.lower()
            found["unit"] = None if unit == TOKENS else unit
        return found


class RangeParams(NarrowedParams):
    """Which usage over which time: a period by its name, or from `startDate` (included) to `endDate` (not)."""

    period: Named | None = None
    start_date: datetime | None = None
    """Without a zone it is in UTC, as is the beginning of a day without a time."""
    end_date: datetime | None = None


class PeriodReport(Result):
    """The time that a report is about."""

    start: str
    end: str
    days: float


class SumReport(Result):
    """What requests came to. Money in dollars; the strings are exact."""

    requests: int
    failed_requests: int
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    cost: float
    """What the providers bill."""
    cost_exact: str
    platform_fee: float
    charged: dict[str, str]
    """What was taken from balances, by asset; exact."""
    unpriced_requests: int | None = None
    """Requests whose cost nobody knows (on own provider keys); absent: there are none."""
    savings: float | None = None
    """Where other models served than were asked for: what those would have charged more, net; negative: less. Absent: nothing."""
    savings_exact: str | None = None


class ResourceUse(Result):
    """What was counted in one unit (S3-14)."""

    resource_type: str
    """`token`, or the unit of an event."""
    event_count: int
    total_quantity: float


class ResourceTotals(Result):
    """All of them."""

    total_events: int
    total_quantity: float


def resources_of(parts: Iterable[UsageSum]) -> list[ResourceUse]:
    """Sums whose key is a unit, in the order of the names."""
    found = [
        ResourceUse(resource_type=part.key[0] or TOKENS, event_count=part.requests, total_quantity=quantity_of(part))
        for part in parts
    ]
    return sorted(found, key=lambda part: part.resource_type)


def quantity_of(part: UsageSum) -> float:
    """Tokens, and whatever was counted in other units."""
    return part.usage.tokens_total + part.quantity_nano / 10**9


def whose_of(context: Context, params: WhoseParams) -> Whose:
    """Whose usage a report is about.

    Raises: Forbidden for that of others, there or not; InvalidParams where nobody is named or known.
    """
    caller, organization = context.caller, params.organization_id
    alone = organization_alone(context, params.user_id)
    if organization is None and alone is not None:
        return Whose(organization_id=alone, is_alone=True)
    if organization is None:
        return Whose(user_of(context, params.user_id))
    if caller.may("users:read"):
        return Whose(params.user_id, organization)
    is_admin = caller.organization_role == "admin" and caller.organization_id == organization
    if not (is_admin and caller.may("organization:read")):
        raise beyond("users:read", "an organization's usage", "leave organizationId out")
    return Whose(params.user_id, organization)  # of a member, what was used inside the organization


def standing_of(context: Context, params: WhoseParams) -> Whose:
    """Whose balance, quota and tier a report is about: one user's, or one organization's.

    What a member has of their own is no business of the organization. Raises: as `whose_of`, InvalidParams where both are named.
    """
    if params.user_id is not None and params.organization_id is not None:
        raise InvalidParams("give userId or organizationId, not both")
    return whose_of(context, params)


def range_of(
    context: Context,
    period: Named | None,
    start: datetime | None,
    end: datetime | None,
    *,
    default: Named = "last_30_days",
    zone: ZoneInfo = UTC_ZONE,
) -> Range:
    """The time that is meant; what is open at an end runs until now, at the beginning 30 days back from the end.

    `zone`: that of instants which name none. Raises: InvalidParams.
    """
    now_us = context.services.reports.clock_us()
    if start is None and end is None:
        return named(period or default, now_us)
    if period is not None:
        raise InvalidParams("give either a period or startDate and endDate, not both")
    until_us = now_us + 1 if end is None else _instant(end, zone)
    since_us = until_us - 30 * DAY_US if start is None else _instant(start, zone)
    if since_us >= until_us:
        raise InvalidParams("startDate must lie before endDate; endDate itself is not included")
    if until_us - since_us > _RANGE_DAYS_MAX * DAY_US:
        raise InvalidParams("startDate and endDate lie more than five years apart; ask for less at once")
    return Range(since_us, until_us)


def back_from_now(context: Context, days: int) -> Range:
    """So many days up to now."""
    return last_days(days, context.services.reports.clock_us())


def zone_named(name: str | None) -> ZoneInfo:
    """A time zone; UTC where none is named. Raises: InvalidParams."""
    zone = zone_of(name or "UTC")
    if zone is None:
        raise InvalidParams(f"timezone: there is no time zone {(name or '')[:64]!r}; use a name such as Europe/Berlin")
    return zone


def buckets_of(interval: Interval, span: Range, zone: ZoneInfo) -> tuple[int, ...]:
    """The edges of a series. Raises: InvalidParams for more points than one answer shows."""
    try:
        return edges_of(interval, span, zone)
    except TooManyBuckets as many:
        raise InvalidParams(f"interval: the range holds {many}; take a shorter range or a longer interval") from None


def period_report(span: Range) -> PeriodReport:
    """A range as JSON."""
    length = span.until_us - span.since_us
    return PeriodReport(start=iso(span.since_us), end=iso(span.until_us), days=round(length / DAY_US, 2))


def sum_report(total: UsageSum) -> SumReport:
    """A sum as JSON."""
    return SumReport(**sum_members(total))


def sum_members(total: UsageSum) -> dict[str, object]:
    """The members of a `SumReport`, for results that say more."""
    usage = total.usage
    return {
        "requests": total.requests,
        "failed_requests": total.failed,
        "input_tokens": usage.tokens_input,
        "output_tokens": usage.tokens_output,
        "total_tokens": usage.tokens_total,
        "cached_input_tokens": usage.cache_read,
        "reasoning_tokens": usage.reasoning,
        "cost": number(total.cost_nano, USD),
        "cost_exact": text(total.cost_nano, USD),
        "platform_fee": number(total.fee_nano, USD),
        "charged": {asset: text(amount, asset) for asset, amount in sorted(total.charged.items()) if amount},
        "unpriced_requests": total.unpriced or None,
        **savings_members(total),
    }


def savings_members(total: UsageSum) -> dict[str, object]:
    """The two members of savings, for results that are no `SumReport`."""
    if not total.saving_nano:
        return {}
    return {"savings": number(total.saving_nano, USD), "savings_exact": text(total.saving_nano, USD)}


def percent(part: int, whole: int) -> float:
    """A share in percent, to two places; of nothing, nothing."""
    return round(part * 10_000 / whole) / 100 if whole else 0.0


def _instant(at: datetime, zone: ZoneInfo) -> int:
    if at.year not in _YEARS:
        raise InvalidParams(f"startDate and endDate must lie in the years {_YEARS.start} to {_YEARS.stop - 1}")
    return us_of(at if at.tzinfo is not None else at.replace(tzinfo=zone))
