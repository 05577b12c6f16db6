"""Limits of a feature in OpenMonetize's words: `setEntitlement`, `updateEntitlement`, `deleteEntitlement`, `listEntitlements`.

An entitlement is a quota whose resource is the feature; it is kept, counted and audited as one, and `checkEntitlement` obeys it.
"""

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from methods.admin_users import Figure, Whom
from methods.context import Context
from methods.eligibility import caller_of
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Metadata, Reason, UserId, actor_of, labels_of
from monetization.directory import Act, Document, putting
from monetization.periods import Period
from monetization.quotas import Quota
from monetization.stored_quotas import QUOTA, key_of, members_of, quota_from
from storage.errors import NotFound, VersionChanged

LimitType = Literal["HARD", "SOFT", "NONE"]
NO_LIMIT: Final = 2**53 - 1
"""The limit of type NONE: what is used is counted and never refused."""


def _upper(said: object) -> object:
    return said.upper() if isinstance(said, str) else said


SaidPeriod = Annotated[Literal["HOURLY", "DAILY", "MONTHLY", "BILLING_PERIOD", "TOTAL"], BeforeValidator(_upper)]
SaidType = Annotated[LimitType, BeforeValidator(_upper)]
Feature = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
EntitlementId = Annotated[str, Field(min_length=1, max_length=400)]
_PERIODS: Final[dict[str, Period]] = {
    "HOURLY": "hourly",
    "DAILY": "daily",
    "MONTHLY": "monthly",
    "BILLING_PERIOD": "billing_period",
    "TOTAL": "lifetime",
}
_SAID: Final = {period: said for said, period in _PERIODS.items()}


class SetParams(Whom):
    """A limit of a feature for one user or organization; one that is there for the same period is replaced."""

    feature_id: Feature
    limit_type: SaidType
    limit_value: Figure | None = None
    """Required but for NONE."""
    period: SaidPeriod = "MONTHLY"
    reason: Reason | None = None
    metadata: Metadata | None = None
    """Kept in the audit."""


class UpdateParams(Params):
    """A change; what is left out stays."""

    id: EntitlementId
    limit_type: SaidType | None = None
    limit_value: Figure | None = None
    reason: Reason | None = None
    metadata: Metadata | None = None
    """Kept in the audit."""


class DeleteParams(Params):
    """Which one goes."""

    id: EntitlementId
    reason: Reason | None = None


class ListParams(Params):
    """Whose."""

    user_id: UserId | None = None
    """For admins only. Absent: the caller's own."""


class EntitlementRow(Result):
    """A limit of a feature."""

    id: str
    """What updates and deletes name."""
    user_id: str | None = None
    organization_id: str | None = None
    feature_id: str
    limit_type: LimitType
    limit_value: int | None = None
    period: str
    current_usage: int | None = None
    """Of the running period; in lists."""


class DeletedResult(Result):
    """It is gone."""

    success: bool = True


class ListResult(Result):
    """The limits of a user's features, and those of the organization that they act for."""

    data: list[EntitlementRow]
    total: int


async def set_entitlement(context: Context, params: SetParams) -> EntitlementRow:
    """Limit a feature for a user or an organization; within a second it binds everywhere. Admins only."""
    period = _PERIODS[params.period]
    made = Quota(params.owner, params.feature_id, period, *_limited(params.limit_type, params.limit_value))
    before = await context.services.directory.entry(QUOTA, key_of(made.subject, made.resource, made.period))
    return await _put(context, made, before, params)


async def update_entitlement(context: Context, params: UpdateParams) -> EntitlementRow:
    """Change the limit of a feature. Admins only."""
    document, old = await _kept(context, params.id)
    kind = params.limit_type or _type_of(old)
    value = params.limit_value
    if value is None and kind != "NONE" and _type_of(old) != "NONE":
        value = old.limit
    limit, is_hard = _limited(kind, value)
    made = Quota(old.subject, old.resource, old.period, limit, is_hard, old.thresholds)
    return await _put(context, made, document, params)


async def delete_entitlement(context: Context, params: DeleteParams) -> DeletedResult:
    """Take a limit of a feature away; what was counted stays counted. Admins only."""
    document, old = await _kept(context, params.id)
    what = {"quota": {"resource": old.resource, "period": old.period}}
    act = Act(actor_of(context), "deleteQuota", old.subject, params.reason or "", what)
    await context.services.directory.put(
        act, [putting(QUOTA, document.key, old.subject, None, expect=document.version)]
    )
    return DeletedResult()


async def list_entitlements(context: Context, params: ListParams) -> ListResult:
    """The limits that were set for a user, with what is used of each."""
    known = await caller_of(context, params.user_id)
    standings = await context.services.quotas.of_user(known)
    own = (f"user:{known.user_id}", f"org:{known.organization_id}")
    rows = [
        _row(found.quota).model_copy(update={"current_usage": found.used})
        for found in standings
        if found.quota.subject in own and found.quota in known.quotas
    ]
    return ListResult(data=rows, total=len(rows))


async def _put(
    context: Context, made: Quota, before: Document | None, said: SetParams | UpdateParams
) -> EntitlementRow:
    members, labels = members_of(made), labels_of(said.metadata)
    what = {"quota": members} | ({"metadata": labels} if labels else {})
    act = Act(actor_of(context), "setQuota", made.subject, said.reason or "", what)
    key, version = key_of(made.subject, made.resource, made.period), 0 if before is None else before.version
    await context.services.directory.put(act, [putting(QUOTA, key, made.subject, members, expect=version)])
    return _row(made)


async def _kept(context: Context, entitlement_id: str) -> tuple[Document, Quota]:
    """What is kept under an id. Raises: NotFound."""
    document = await context.services.directory.entry(QUOTA, entitlement_id)
    quota = None if document is None else quota_from(document)
    if document is None or quota is None:
        raise NotFound("there is no such entitlement; listEntitlements shows their ids")
    return document, quota


def _limited(kind: LimitType, value: int | None) -> tuple[int, bool]:
    """Limit, and whether it is hard. Raises: InvalidParams."""
    if kind == "NONE":
        if value is not None:
            raise InvalidParams("limitValue: NONE has no limit; leave it out, or say HARD or SOFT")
        return NO_LIMIT, False
    if value is None:
        raise InvalidParams(f"limitValue: {kind} needs a limit")
    return value, kind == "HARD"


def _type_of(quota: Quota) -> LimitType:
    if quota.is_hard:
        return "HARD"
    return "NONE" if quota.limit >= NO_LIMIT else "SOFT"


def _row(quota: Quota) -> EntitlementRow:
    kind, _, owner = quota.subject.partition(":")
    shown = _type_of(quota)
    return EntitlementRow(
        id=key_of(quota.subject, quota.resource, quota.period),
        user_id=owner if kind == "user" else None,
        organization_id=owner if kind == "org" else None,
        feature_id=quota.resource,
        limit_type=shown,
        limit_value=None if shown == "NONE" else quota.limit,
        period=_SAID[quota.period],
    )


_ID: Final = "user:u1/export/monthly"
_SHOWN: Final = {
    "id": _ID, "userId": "u1", "featureId": "export", "limitType": "HARD", "limitValue": 50, "period": "MONTHLY",
}  # fmt: skip

METHODS = [
    Method(
        "setEntitlement",
        set_entitlement,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(Forbidden, VersionChanged),
        examples=(
            Example(
                "fifty exports a month",
                {"userId": "u1", "featureId": "export", "limitType": "HARD", "limitValue": 50, "period": "MONTHLY"},
                _SHOWN,
            ),
        ),
    ),
    Method(
        "updateEntitlement",
        update_entitlement,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(Forbidden, NotFound, VersionChanged),
        examples=(Example("eighty", {"id": _ID, "limitValue": 80}, {**_SHOWN, "limitValue": 80}),),
    ),
    Method(
        "deleteEntitlement",
        delete_entitlement,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(Forbidden, NotFound, VersionChanged),
        examples=(Example("as many as one likes", {"id": _ID}, {"success": True}),),
    ),
    Method(
        "listEntitlements",
        list_entitlements,
        scope="account:read",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidParams),
        examples=(Example("the caller's", {}, {"data": [], "total": 0}),),
    ),
]
