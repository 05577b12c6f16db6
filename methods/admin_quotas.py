"""Quotas that an admin sets for one user or organization: `setQuota`, `deleteQuota` (S3-08, S3-18, S3-19). Audited."""

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from methods.admin_users import Figure, Whom
from methods.context import Context
from methods.errors import Forbidden
from methods.method import Access, Example, Method, Result
from methods.money_shapes import Reason, actor_of
from methods.quotas import Resource, SaidPeriod
from monetization.directory import Act, Document, putting
from monetization.periods import Period
from monetization.quotas import THRESHOLDS, Quota
from monetization.stored_quotas import QUOTA, key_of, members_of, quota_from
from storage.errors import NotFound, VersionChanged

Percent = Annotated[StrictInt, Field(ge=1, le=100)]


class Which(Whom):
    """A quota: whose, of what, in which period."""

    resource: Resource
    period: SaidPeriod
    """`total` is taken for `lifetime`."""
    reason: Reason | None = None


class SetParams(Which):
    """A quota as it shall be from now on; of one that is there, what is left out stays as it is."""

    limit: Figure
    is_hard_limit: StrictBool | None = None
    """False lets calls through past the limit and tells of it. Absent for a new quota: true."""
    thresholds: Annotated[list[Percent], Field(max_length=10)] | None = None
    """Where warnings are sent, in percent of the limit."""
    notification_threshold: Percent | None = None
    """A single threshold before the limit itself; `thresholds` wins."""


class SetResult(Result):
    """A quota."""

    success: bool = True
    subject: str
    resource: str
    period: Period
    limit: int
    is_hard_limit: bool
    thresholds: list[int]
    version: int
    """Grows with every change."""


class DeleteResult(Result):
    """It is gone; the tier's own figure, if there is one, binds again."""

    success: bool = True


async def set_quota(context: Context, params: SetParams) -> SetResult:
    """Set a quota in the place of the one of the same resource and period; within a second it binds everywhere."""
    directory, key = context.services.directory, key_of(params.owner, params.resource, params.period)
    before = await directory.entry(QUOTA, key)
    made = _made(params, before)
    act = Act(actor_of(context), "setQuota", params.owner, params.reason or "", {"quota": members_of(made)})
    version = 0 if before is None else before.version
    await directory.put(act, [putting(QUOTA, key, params.owner, members_of(made), expect=version)])
    return SetResult(
        subject=made.subject,
        resource=made.resource,
        period=made.period,
        limit=made.limit,
        is_hard_limit=made.is_hard,
        thresholds=list(made.thresholds),
        version=version + 1,
    )


async def delete_quota(context: Context, params: Which) -> DeleteResult:
    """Delete a quota. What was counted stays counted, and binds again if the quota is set again in the same period."""
    directory, key = context.services.directory, key_of(params.owner, params.resource, params.period)
    before = await directory.entry(QUOTA, key)
    if before is None:
        raise NotFound("there is no such quota; listQuotas shows those that were set", data={"quota": key})
    what = {"resource": params.resource, "period": params.period}
    act = Act(actor_of(context), "deleteQuota", params.owner, params.reason or "", {"quota": what})
    await directory.put(act, [putting(QUOTA, key, params.owner, None, expect=before.version)])
    return DeleteResult()


def _made(params: SetParams, before: Document | None) -> Quota:
    old = None if before is None else quota_from(before)
    base = old or Quota(params.owner, params.resource, params.period, params.limit)
    said = params.thresholds
    if said is None and params.notification_threshold is not None:
        said = [params.notification_threshold, THRESHOLDS[-1]]
    return Quota(
        subject=params.owner,
        resource=params.resource,
        period=params.period,
        limit=params.limit,
        is_hard=base.is_hard if params.is_hard_limit is None else params.is_hard_limit,
        thresholds=base.thresholds if said is None else tuple(sorted(set(said))),
    )


METHODS = [
    Method(
        "setQuota",
        set_quota,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(Forbidden, VersionChanged),
        examples=(
            Example(
                "at most fifty messages a day",
                {"userId": "u1", "resource": "message", "period": "daily", "limit": 50, "isHardLimit": True},
                {"success": True, "subject": "user:u1", "resource": "message", "period": "daily", "limit": 50},
            ),
        ),
    ),
    Method(
        "deleteQuota",
        delete_quota,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(Forbidden, NotFound, VersionChanged),
        examples=(
            Example(
                "no more messages a day",
                {"userId": "u1", "resource": "message", "period": "daily"},
                {"success": True},
            ),
        ),
    ),
]
