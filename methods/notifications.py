"""What somebody was told: `listNotifications`, `markNotificationRead`, `getUnreadCount` (S3-06, R26)."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Limit, UserId, beyond, user_of
from methods.organizations import OrganizationId
from monetization.notices.desk import Told
from monetization.notices.kinds import OPERATOR, NoticeType, Priority
from monetization.periods import iso
from monetization.roles import Scope
from storage.errors import InvalidCursor, NotFound

# Any: what a notice is about is JSON of many shapes.


class WhoseParams(Params):
    """Whose notices. Absent: the caller's own."""

    user_id: UserId | None = None
    """For admins only."""
    organization_id: OrganizationId | None = None
    """For its own admins, and for the operator's."""
    operator: bool = False
    """Those about the installation; needs the scope `users:read`."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.user_id is not None, self.organization_id is not None, self.operator)) > 1:
            raise ValueError("name one of userId, organizationId and operator")
        return self


class ListParams(WhoseParams):
    """Which notices, the newest first."""

    unread_only: bool = False
    limit: Limit = 50
    cursor: Annotated[str, Field(min_length=1, max_length=600)] | None = None


class MarkParams(WhoseParams):
    """Which notice was read: one by its `id`, or all of them."""

    id: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    all: bool = False

    @model_validator(mode="after")
    def _which(self) -> Self:
        if (self.id is None) != self.all:
            raise ValueError("name a notice by its id, or say all: true")
        return self


class Notification(Result):
    """One notice."""

    id: str
    type: NoticeType
    priority: Priority
    title: str
    message: str
    status: Literal["sent", "read"]
    created_at: str
    read_at: str | None = None
    data: dict[str, Any]


class NotificationsResult(Result):
    """One page of notices."""

    notifications: list[Notification]
    unread_count: int
    next_cursor: str | None = None
    """Absent: there are no more."""


class MarkResult(Result):
    """How many were unread before."""

    success: Literal[True] = True
    marked: int
    unread_count: int


class CountResult(Result):
    """How many nobody has marked as read."""

    unread_count: int


async def list_notifications(context: Context, params: ListParams) -> NotificationsResult:
    """What was told: quotas, balances, forecasts, unusual use; for operators, errors and providers."""
    owner = _owner(context, params, "users:read")
    notices = context.services.notices
    page, cursor, unread = await notices.page(
        owner, limit=params.limit, cursor=params.cursor, unread=params.unread_only
    )
    return NotificationsResult(notifications=[_shown(told) for told in page], unread_count=unread, next_cursor=cursor)


async def mark_notification_read(context: Context, params: MarkParams) -> MarkResult:
    """Mark one notice as read, or all."""
    owner, now_us = _owner(context, params, "users:write"), context.services.reports.clock_us()
    marked = await context.services.notices.mark_read(owner, params.id, now_us)
    return MarkResult(marked=marked, unread_count=await _unread(context, owner))


async def get_unread_count(context: Context, params: WhoseParams) -> CountResult:
    """How many notices are unread."""
    return CountResult(unread_count=await _unread(context, _owner(context, params, "users:read")))


async def _unread(context: Context, owner: str) -> int:
    return sum(1 for told in await context.services.notices.of(owner) if told.read_us is None)


def _owner(context: Context, params: WhoseParams, scope: Scope) -> str:
    """Whose notices a call is about. Raises: Forbidden for those of others, there or not."""
    caller = context.caller
    if params.operator:
        if not caller.may(scope):
            raise beyond(scope, "the installation's notices", "leave operator out")
        return OPERATOR
    if params.organization_id is None:
        return f"user:{user_of(context, params.user_id, scope)}"
    is_admin = caller.organization_role == "admin" and caller.organization_id == params.organization_id
    if not caller.may(scope) and not (is_admin and caller.may("organization:read")):
        raise beyond(scope, "an organization's notices", "leave organizationId out")
    return f"org:{params.organization_id}"


def _shown(told: Told) -> Notification:
    return Notification(
        id=told.id,
        type=told.type,
        priority=told.priority,
        title=told.title,
        message=told.message,
        status="sent" if told.read_us is None else "read",
        created_at=iso(told.told_us),
        read_at=None if told.read_us is None else iso(told.read_us),
        data=told.data,
    )


_FAULTS = (Forbidden, InvalidParams)

METHODS = [
    Method(
        "listNotifications",
        list_notifications,
        scope="account:read",
        access=Access.REQUIRED,
        faults=(*_FAULTS, InvalidCursor),
        examples=(Example("nothing yet", {"limit": 10}, {"notifications": [], "unreadCount": 0}),),
    ),
    Method(
        "markNotificationRead",
        mark_notification_read,
        scope="account:read",
        access=Access.REQUIRED,
        faults=(*_FAULTS, NotFound),
        examples=(Example("all of them", {"all": True}, {"success": True, "marked": 0, "unreadCount": 0}),),
    ),
    Method(
        "getUnreadCount",
        get_unread_count,
        scope="account:read",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(Example("nothing yet", {}, {"unreadCount": 0}),),
    ),
]
