"""Quotas as callers see them: `checkQuotaStatus` (S0-38), `getQuotaStatus`, `listQuotas`, `checkQuota`, `enforceQuota`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictInt, model_validator

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, NoParams, Params, Result, Tool
from methods.money_shapes import Key, UserId, beyond, organization_alone, user_of
from monetization.errors import QuotaExceeded
from monetization.funding import BOOKED
from monetization.periods import Period, iso
from monetization.quota_desk import DAYS_LEFT_MAX, Origin, Standing, month_of_tokens, tightest
from monetization.roles import Scope
from storage.errors import IdempotencyConflict
from storage.store import Counters

Resource = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
SaidPeriod = Annotated[Period, BeforeValidator(lambda said: "lifetime" if said == "total" else said)]
"""`total` is the document's first word for `lifetime` (R5)."""
Quantity = Annotated[StrictInt, Field(ge=0, le=2**53 - 1)]
Whose = tuple[Literal["user", "organization"], str]


class WhoseParams(Params):
    """Whose quotas. Absent: the caller's."""

    user_id: UserId | None = None
    """For admins only."""
    organization_id: UserId | None = None
    """For its members and for admins."""

    @model_validator(mode="after")
    def _one(self) -> "WhoseParams":
        if self.user_id is not None and self.organization_id is not None:
            raise ValueError("give userId or organizationId, not both")
        return self


class ResourceParams(WhoseParams):
    """A resource, and which of its quotas."""

    resource: Resource
    period: SaidPeriod | None = None
    """The quota of this period alone. Absent: all of them."""


class CheckParams(ResourceParams):
    """What is about to be used."""

    amount: Quantity = 1


class EnforceParams(ResourceParams):
    """What was used, or is used now."""

    amount: Annotated[StrictInt, Field(ge=1, le=2**53 - 1)] = 1
    idempotency_key: Key | None = None
    """The same key counts once."""


class QuotaStatusResult(Result):
    """Where the month's tokens stand. What is absent is not limited or not known."""

    quota_remaining: int | None = None
    quota_limit: int | None = None
    quota_used: int
    reset_date: str | None = None
    warning_threshold: int | None = Field(None, description="The percentage at which the first warning is sent.")
    current_usage_percentage: float | None = None
    estimated_days_remaining: int | None = Field(
        None, le=DAYS_LEFT_MAX, description="At the pace of recent use, a year at most. Absent: nothing was used."
    )


class CheckResult(Result):
    """Whether so much more would be let through, and the quota that it meets first."""

    allowed: bool
    current: int
    limit: int | None = None
    percentage: float
    has_quota: bool
    is_hard_limit: bool
    notification_threshold: int | None = None
    period: Period | None = None
    reset_date: str | None = None


class QuotaRow(Result):
    """A quota as it was set."""

    subject: str
    resource: str
    period: Period
    limit: int
    is_hard_limit: bool
    notification_threshold: int | None = None
    """The first of the thresholds."""
    thresholds: list[int]
    source: Origin
    """`tier`: it follows from the plan; the others were set."""


class QuotaStanding(QuotaRow):
    """A quota, and what is counted of it."""

    current: int
    held: int
    """What running calls may use at most."""
    remaining: int
    percentage: float
    allowed: bool
    reset_date: str | None = None
    """Absent: never."""


class ListResult(Result):
    """Quotas."""

    success: bool = True
    data: list[QuotaRow]


class StandingsResult(Result):
    """Quotas with what is counted."""

    success: bool = True
    data: list[QuotaStanding]


async def check_quota_status(context: Context, params: NoParams) -> QuotaStatusResult:
    """Where the caller's monthly tokens stand."""
    del params
    alone = organization_alone(context, None)
    owner = f"user:{user_of(context, None)}" if alone is None else f"org:{alone}"
    desk = context.services.quotas
    own = month_of_tokens(await desk.of_user(context.caller, desk.store.remembered), owner)
    if own is None:
        return QuotaStatusResult(quota_used=await desk.month_of(owner))
    return QuotaStatusResult(
        quota_remaining=own.left,
        quota_limit=own.limit,
        quota_used=own.used,
        reset_date=_date(own),
        warning_threshold=_threshold(own),
        current_usage_percentage=_percentage(own),
        estimated_days_remaining=await desk.days_left(own),
    )


async def get_quota_status(context: Context, params: WhoseParams) -> StandingsResult:
    """Every quota that binds, and what is counted of it."""
    _, found = await _found(context, params)
    return StandingsResult(data=[_standing(one) for one in found])


async def list_quotas(context: Context, params: WhoseParams) -> ListResult:
    """Every quota that binds: what the plan says, and what was set."""
    _, found = await _found(context, params)
    return ListResult(data=[QuotaRow(**_row(one)) for one in found])


async def check_quota(context: Context, params: CheckParams) -> CheckResult:
    """Whether so much more of a resource would be let through; without a quota everything is. Nothing is counted."""
    _, found = await _found(context, params, counters=context.services.quotas.store.remembered)
    return _checked(_about(found, params.resource, params.period), params.amount)


async def enforce_quota(context: Context, params: EnforceParams) -> CheckResult:
    """Count what was used of a resource in all of its quotas, or refuse it where a hard one does not cover it.

    With a period it is counted in that quota alone, as the document's `enforceQuota(tenant, 'message', 'daily')` means (S3-08).
    Tokens and requests are none of the document's resources (S3-02): they and the other counters of the books (cost, overage,
    those of own keys) are what statements are made of, so only calls count them, each of which a usage row explains.
    """
    if params.resource in BOOKED:
        raise InvalidParams(f"resource: calls count {params.resource} themselves; checkQuota shows where it stands")
    whose, found = await _found(context, params, "users:write")
    concerned = _about(found, params.resource, params.period)
    if concerned:
        desk = context.services.quotas
        await desk.count(whose, params.resource, params.amount, concerned, params.idempotency_key)
        whose, found = await _found(context, params, "users:write")
        concerned = _about(found, params.resource, params.period)
    return _checked(concerned, 0)


async def _found(
    context: Context, params: WhoseParams, scope: Scope = "users:read", counters: Counters | None = None
) -> tuple[Whose, tuple[Standing, ...]]:
    """Whose quotas, and the quotas, by these counters or by the books. Raises: Forbidden for those of others, there or not."""
    desk, caller, organization = context.services.quotas, context.caller, params.organization_id
    if organization is not None:
        is_inside = organization == caller.organization_id and caller.organization_role is not None
        if not caller.may(scope) and not (is_inside and caller.may("organization:read") and scope == "users:read"):
            raise beyond(scope, "an organization", "leave organizationId out")
        return ("organization", organization), await desk.of_organization(organization, counters)
    alone = organization_alone(context, params.user_id)
    if alone is not None:
        return ("organization", alone), await desk.of_user(caller, counters)
    user = user_of(context, params.user_id, scope)
    known = caller if user == caller.user_id else await context.services.eligibility.caller(user)
    return ("user", user), await desk.of_user(known, counters)


def _about(found: tuple[Standing, ...], resource: str, period: Period | None) -> list[Standing]:
    return [one for one in found if one.quota.resource == resource and period in (None, one.quota.period)]


def _checked(found: list[Standing], amount: int) -> CheckResult:
    first = tightest(found, amount)
    if first is None:
        return CheckResult(allowed=True, current=0, percentage=0, has_quota=False, is_hard_limit=False)
    return CheckResult(
        allowed=all(one.allows(amount) for one in found),
        current=first.used,
        limit=first.limit,
        percentage=_percentage(first),
        has_quota=True,
        is_hard_limit=first.quota.is_hard,
        notification_threshold=_threshold(first),
        period=first.quota.period,
        reset_date=_date(first),
    )


def _row(found: Standing) -> dict[str, object]:
    quota = found.quota
    return {
        "subject": quota.subject,
        "resource": quota.resource,
        "period": quota.period,
        "limit": found.limit,
        "is_hard_limit": quota.is_hard,
        "notification_threshold": _threshold(found),
        "thresholds": list(quota.thresholds),
        "source": found.origin,
    }


def _standing(found: Standing) -> QuotaStanding:
    return QuotaStanding(
        **_row(found),
        current=found.used,
        held=found.held,
        remaining=found.left,
        percentage=_percentage(found),
        allowed=found.allows(1),
        reset_date=_date(found),
    )


def _threshold(found: Standing) -> int | None:
    return min(found.quota.thresholds, default=None)


def _percentage(found: Standing) -> float:
    """Used of the limit, to two places; of a limit of nothing, all is used."""
    limit = found.limit
    return round(found.used * 10_000 / limit) / 100 if limit else 100.0


def _date(found: Standing) -> str | None:
    return None if found.resets_us is None else iso(found.resets_us)


_FAULTS = (Forbidden, InvalidParams)

METHODS = [
    Method(
        "checkQuotaStatus",
        check_quota_status,
        scope="account:read",
        access=Access.REQUIRED,
        faults=(InvalidParams,),
        examples=(
            Example(
                "a third of the month's tokens is used",
                {},
                {
                    "quotaRemaining": 34744, "quotaLimit": 50000, "quotaUsed": 15256, "resetDate": "2024-02-01T00:00:00Z",
                    "warningThreshold": 80, "currentUsagePercentage": 30.51, "estimatedDaysRemaining": 23,
                },
            ),
        ),
    ),
    Method(
        "getQuotaStatus",
        get_quota_status,
        scope="account:read",
        tool=Tool("Quotas and what is counted of them"),
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(Example("a user's", {"userId": "u1"}, {"success": True, "data": []}),),
    ),
    Method(
        "listQuotas",
        list_quotas,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(Example("a user's", {"userId": "u1"}, {"success": True, "data": []}),),
    ),
    Method(
        "checkQuota",
        check_quota,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "a file of three pages",
                {"userId": "u1", "resource": "file_upload", "amount": 3},
                {"allowed": True, "current": 0, "percentage": 0, "hasQuota": False, "isHardLimit": False},
            ),
        ),
    ),
    Method(
        "enforceQuota",
        enforce_quota,
        scope="ai:call",
        access=Access.REQUIRED,
        faults=(*_FAULTS, QuotaExceeded, IdempotencyConflict),
        examples=(
            Example(
                "a search among vectors",
                {"userId": "u1", "resource": "vector_query", "amount": 1},
                {"allowed": True, "current": 0, "percentage": 0, "hasQuota": False, "isHardLimit": False},
            ),
        ),
    ),
]  # fmt: skip
