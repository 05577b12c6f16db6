"""Members of organizations: `addMember`, `updateMember`, `removeMember`, `listMembers`, `joinOrganization`, `leaveOrganization`.

Audited. What an organization's own admin adds is an invitation: it begins when the user accepts, or when the user's credential
names the organization too, so that nobody can draw another one's users to where that one pays or sets limits.
"""

from typing import Annotated, Final

from pydantic import Field, field_validator

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Limit, Reason, UserId, actor_of, user_of
from methods.organizations import OrganizationId, organization_id_of, stored_organization
from monetization.directory import Act, Document, putting
from monetization.organizations import CAPS, MEMBER, Membership, key_of, membership_of, owner_of, standing
from monetization.roles import OrganizationRole
from storage.errors import InvalidCursor, NotFound, VersionChanged
from storage.records.commands import RequireVersion

Figure = Annotated[int, Field(ge=0, le=2**53 - 1)]
Caps = dict[str, Figure]
MEMBERSHIPS_MAX: Final = 50
"""Organizations of one user."""


def _named_caps(caps: Caps | None) -> Caps | None:
    unknown = sorted(set(caps or ()) - CAPS.keys())
    if unknown:
        raise ValueError(f"there is no cap {unknown[0][:50]!r}; there are {', '.join(CAPS)}")
    return caps


class MemberParams(Params):
    """Who, and in which organization."""

    user_id: UserId
    organization_id: OrganizationId | None = None
    """For an operator's admins. Absent: the caller's own."""
    reason: Reason | None = None


class AddParams(MemberParams):
    """A new member."""

    role: OrganizationRole = "member"
    """`viewer` only looks, `member` is paid for, `admin` also manages the members."""
    caps: Caps | None = None
    """The most that this member may draw from the pool: `monthlyTokens`, `dailyRequests`, ... Absent: no more than is there."""

    _caps = field_validator("caps")(_named_caps)


class UpdateParams(MemberParams):
    """What changes; what is left out stays."""

    role: OrganizationRole | None = None
    caps: Caps | None = None
    """All of them anew; an empty object removes them."""

    _caps = field_validator("caps")(_named_caps)


class ListParams(Params):
    """Whose members, and which page."""

    organization_id: OrganizationId | None = None
    """For an operator's admins. Absent: the caller's own."""
    limit: Limit = 50
    cursor: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None


class JoinParams(Params):
    """Which organization."""

    organization_id: OrganizationId


class MemberResult(Result):
    """A member."""

    organization_id: str
    user_id: str
    role: OrganizationRole
    caps: dict[str, int]
    status: str
    """`active`, or `invited` until the user has accepted."""


class MembersResult(Result):
    """Members in the order of their ids."""

    members: list[MemberResult]
    next_cursor: str | None = None


class RemovedResult(Result):
    """Whether there was something to remove."""

    removed: bool


async def add_member(context: Context, params: AddParams) -> MemberResult:
    """Add a member to an organization, or invite one where an admin of the organization itself asks."""
    organization_id = organization_id_of(context, params.organization_id, "users:write")
    stands = await standing(context.services.directory, organization_id)
    profile = await context.services.directory.fresh(f"user:{params.user_id}")
    is_operator = context.caller.may("users:write")
    if len(profile.all(MEMBER)) >= MEMBERSHIPS_MAX and not is_operator:
        raise Forbidden(
            "this user is in too many organizations; one of them must be left first", reason="too_many_memberships"
        )
    made = Membership(
        organization_id,
        params.user_id,
        params.role,
        params.caps or {},
        has_joined=is_operator or params.user_id == context.caller.user_id,
    )
    await _write(context, "addMember", made, params.reason, stands, expect=0)
    return _shown(made)


async def update_member(context: Context, params: UpdateParams) -> MemberResult:
    """Change a member's role or caps; both hold from the member's next call on."""
    before = await _member(context, params)
    old = membership_of(before)
    made = Membership(
        old.organization_id,
        old.user_id,
        params.role or old.role,
        old.caps if params.caps is None else params.caps,
        has_joined=old.has_joined,
    )
    await _write(context, "updateMember", made, params.reason, expect=before.version)
    return _shown(made)


async def remove_member(context: Context, params: MemberParams) -> RemovedResult:
    """End a membership."""
    before = await _member(context, params)
    await _end(context, "removeMember", before, params.reason)
    return RemovedResult(removed=True)


async def list_members(context: Context, params: ListParams) -> MembersResult:
    """The members of an organization, with their roles and caps."""
    organization_id = organization_id_of(context, params.organization_id, "users:read")
    await stored_organization(context, organization_id)
    page = await context.services.directory.page(
        MEMBER, within=key_of(organization_id, ""), limit=params.limit, cursor=params.cursor
    )
    return MembersResult(
        members=[_shown(membership_of(found)) for found in page.rows],
        next_cursor=page.next_cursor,
    )


async def join_organization(context: Context, params: JoinParams) -> MemberResult:
    """Accept an invitation."""
    before = await _own(context, params)
    old = membership_of(before)
    made = Membership(old.organization_id, old.user_id, old.role, old.caps)
    await _write(context, "joinOrganization", made, None, expect=before.version)
    return _shown(made)


async def leave_organization(context: Context, params: JoinParams) -> RemovedResult:
    """End one's own membership, or decline an invitation."""
    before = await _own(context, params)
    await _end(context, "leaveOrganization", before, None)
    return RemovedResult(removed=True)


async def _member(context: Context, params: MemberParams) -> Document:
    organization_id = organization_id_of(context, params.organization_id, "users:write")
    return await _found(context, organization_id, params.user_id)


async def _own(context: Context, params: JoinParams) -> Document:
    return await _found(context, params.organization_id, user_of(context, None))


async def _found(context: Context, organization_id: str, user_id: str) -> Document:
    profile = await context.services.directory.fresh(f"user:{user_id}")
    found = profile.one(MEMBER, key_of(organization_id, user_id))
    if found is None:
        raise NotFound("there is no such membership; listMembers names those that there are")
    return found


async def _write(
    context: Context, action: str, made: Membership, reason: str | None, *required: RequireVersion, expect: int
) -> None:
    """Raises: VersionChanged where somebody else was faster, or the membership is there already."""
    act = _act(context, action, made.organization_id, made.user_id, reason, made.members())
    key = key_of(made.organization_id, made.user_id)
    put = putting(MEMBER, key, f"user:{made.user_id}", made.members(), expect=expect)
    await context.services.directory.put(act, [put], *required)


async def _end(context: Context, action: str, before: Document, reason: str | None) -> None:
    old = membership_of(before)
    act = _act(context, action, old.organization_id, old.user_id, reason, {})
    await context.services.directory.put(act, [putting(MEMBER, before.key, before.owner, None, expect=before.version)])


def _act(
    context: Context, action: str, organization_id: str, user_id: str, reason: str | None, body: dict[str, object]
) -> Act:
    return Act(actor_of(context), action, owner_of(organization_id), reason or "", {"userId": user_id, **body})


def _shown(membership: Membership) -> MemberResult:
    return MemberResult(
        organization_id=membership.organization_id,
        user_id=membership.user_id,
        role=membership.role,
        caps=dict(membership.caps),
        status="active" if membership.has_joined else "invited",
    )


_ADA: Final = {
    "organizationId": "acme",
    "userId": "ada",
    "role": "member",
    "caps": {"monthlyTokens": 100000},
    "status": "active",
}
_FAULTS: Final = (Forbidden, InvalidParams, NotFound, VersionChanged)

METHODS = (
    Method(
        "addMember",
        add_member,
        scope="organization:write",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "a member with a cap",
                {"organizationId": "acme", "userId": "ada", "role": "member", "caps": {"monthlyTokens": 100000}},
                _ADA,
            ),
        ),
    ),
    Method(
        "updateMember",
        update_member,
        scope="organization:write",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(
            Example(
                "a member becomes an admin of the organization",
                {"organizationId": "acme", "userId": "ada", "role": "admin"},
                {**_ADA, "role": "admin"},
            ),
        ),
    ),
    Method(
        "removeMember",
        remove_member,
        scope="organization:write",
        access=Access.REQUIRED,
        faults=_FAULTS,
        examples=(Example("a member who left", {"organizationId": "acme", "userId": "ada"}, {"removed": True}),),
    ),
    Method(
        "listMembers",
        list_members,
        scope="organization:read",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidParams, NotFound, InvalidCursor),
        examples=(Example("by an operator", {"organizationId": "acme"}, {"members": [_ADA]}),),
    ),
    Method(
        "joinOrganization",
        join_organization,
        scope="account:write",
        access=Access.REQUIRED,
        faults=(NotFound, InvalidParams, VersionChanged),
        examples=(Example("an invitation", {"organizationId": "acme"}, _ADA),),
    ),
    Method(
        "leaveOrganization",
        leave_organization,
        scope="account:write",
        access=Access.REQUIRED,
        faults=(NotFound, InvalidParams, VersionChanged),
        examples=(Example("one's own place", {"organizationId": "acme"}, {"removed": True}),),
    ),
)
