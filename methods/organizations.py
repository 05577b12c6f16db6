"""Organizations: `createOrganization`, `updateOrganization`, `deleteOrganization`, `getOrganization`, `listOrganizations`.

What changes them is audited. An operator's admin makes and reaches all of them; a member only ever its own, and a
row of another one looks like none.
"""

from typing import Annotated, Final, get_args

from pydantic import Field

from billing.accounts import pool_of
from billing.errors import AccountNotEmpty
from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Asset, Limit, Reason, actor_of, beyond
from monetization.callers import Pays
from monetization.directory import Act, Document, putting
from monetization.funding import TENANT
from monetization.keys.records import API_KEY, API_KEY_OF
from monetization.keys.records import owner_of as owner_of_key
from monetization.organizations import (
    ENDING,
    MEMBER,
    ORGANIZATION,
    Organization,
    key_of,
    organization_of,
    owner_of,
    stored,
)
from monetization.roles import OrganizationRole, Scope
from storage.errors import InvalidCursor, NotFound, VersionChanged
from storage.records.commands import RequireEmpty, RequireVersion

OrganizationId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}$")]
"""Without a slash, which separates the parts of a membership's key."""
MEMBERS_AT_ONCE: Final = 500
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class CreateParams(Params):
    """A new organization."""

    organization_id: OrganizationId
    """As credentials name it."""
    name: _Name
    pays: Pays = "pool"
    """Who pays for the calls of members: the pool, each member, or the pool as long as it can."""
    reason: Reason | None = None


class UpdateParams(Params):
    """What changes; what is left out stays."""

    organization_id: OrganizationId | None = None
    """For an operator's admins. Absent: the caller's own."""
    name: _Name | None = None
    pays: Pays | None = None
    reason: Reason | None = None


class DeleteParams(Params):
    """Which organization goes."""

    organization_id: OrganizationId
    reason: Reason | None = None


class PlaceParams(Params):
    """Which organization."""

    organization_id: OrganizationId | None = None
    """For an operator's admins. Absent: the caller's own."""


class PageParams(Params):
    """Which page."""

    limit: Limit = 50
    cursor: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None


class OrganizationResult(Result):
    """An organization."""

    organization_id: str
    name: str
    pays: Pays
    your_role: OrganizationRole | None = None
    """Of the caller, in the caller's own organization."""
    version: int
    """Grows with every change."""


class OrganizationsResult(Result):
    """Organizations in the order of their ids."""

    organizations: list[OrganizationResult]
    next_cursor: str | None = None


class DeletedResult(Result):
    """Whether there was something to delete."""

    deleted: bool
    members: int
    """Who were in it."""


def organization_id_of(context: Context, named: str | None, scope: Scope) -> str:
    """Whose organization a call is about: the caller's own, or with `scope` any that is named.

    Raises: Forbidden for anybody else who names another one, there or not; InvalidParams where none is named or known.
    """
    caller = context.caller
    own = caller.organization_id if caller.organization_role is not None else None
    if named is None or named == own:
        if own is None:
            raise InvalidParams("name the organization as organizationId; you are a member of none")
        return own
    if not caller.may(scope):
        raise beyond(scope, "another organization", "leave organizationId out")
    return named


async def stored_organization(context: Context, organization_id: str) -> Document:
    """The organization as it is now. Raises: NotFound."""
    return await stored(context.services.directory, organization_id)


async def create_organization(context: Context, params: CreateParams) -> OrganizationResult:
    """Make an organization; `transferBalance` fills its pool, `addMember` names its members."""
    made = Organization(params.organization_id, params.name, params.pays)
    owner = owner_of(made.id)
    act = Act(actor_of(context), "createOrganization", owner, params.reason or "", {"organization": made.members()})
    await context.services.directory.put(act, [putting(ORGANIZATION, made.id, owner, made.members(), expect=0)])
    return _shown(context, made, 1)


async def update_organization(context: Context, params: UpdateParams) -> OrganizationResult:
    """Rename an organization, or change who pays for the calls of its members."""
    before = await stored_organization(context, organization_id_of(context, params.organization_id, "users:write"))
    old = organization_of(before)
    made = Organization(old.id, params.name or old.name, params.pays or old.pays)
    act = Act(
        actor_of(context), "updateOrganization", before.owner, params.reason or "", {"organization": made.members()}
    )
    put = putting(ORGANIZATION, made.id, before.owner, made.members(), expect=before.version)
    await context.services.directory.put(act, [put])
    return _shown(context, made, before.version + 1)


async def delete_organization(context: Context, params: DeleteParams) -> DeletedResult:
    """End an organization, its memberships, keys, limits, quotas and subscription. Its pool must be empty (`transferBalance`).

    All of that goes in one commit; of more than `MEMBERS_AT_ONCE` members, the first ones in commits of their own. Running calls
    that hold something of the pool refuse it, those that only count a quota end as they began. Again, it does nothing.
    """
    organization_id, directory = params.organization_id, context.services.directory
    owner, members = owner_of(organization_id), 0
    profile = await directory.fresh(owner)
    found = profile.one(ORGANIZATION, organization_id)
    if found is None:
        return DeletedResult(deleted=False, members=0)
    is_empty = [RequireEmpty(account=pool_of(organization_id, asset)) for asset in get_args(Asset)]
    # From here on nobody is added, so that the members who are listed are all of them.
    ending = putting(ORGANIZATION, organization_id, owner, {**found.body, ENDING: True}, expect=found.version)
    begun = Act(actor_of(context), "deleteOrganization", owner, params.reason or "", {"members": [], "isGone": False})
    version = (await directory.put(begun, [ending], *is_empty))[0].amount
    stands = RequireVersion(tenant=TENANT, kind=ORGANIZATION, key=organization_id, version=version)
    profile = await directory.fresh(owner)
    own = [
        putting(one.kind, one.key, owner, None, expect=version if one.kind == ORGANIZATION else None)
        for kind in profile.documents
        for one in profile.all(kind)
    ]
    own += [putting(API_KEY, one.key, owner_of_key(one.key), None) for one in profile.all(API_KEY_OF)]
    is_gone = False
    while not is_gone:
        page = await directory.page(MEMBER, within=key_of(organization_id, ""), limit=MEMBERS_AT_ONCE)
        members += len(page.rows)
        is_gone = page.next_cursor is None
        ends = [putting(MEMBER, member.key, member.owner, None, expect=member.version) for member in page.rows]
        body = {"members": [member.owner for member in page.rows], "isGone": is_gone}
        act = Act(actor_of(context), "deleteOrganization", owner, params.reason or "", body)
        await directory.put(act, [*ends, *own] if is_gone else ends, *is_empty, *(() if is_gone else (stands,)))
    return DeletedResult(deleted=True, members=members)


async def get_organization(context: Context, params: PlaceParams) -> OrganizationResult:
    """The caller's organization, or for an operator's admin any."""
    found = await stored_organization(context, organization_id_of(context, params.organization_id, "users:read"))
    return _shown(context, organization_of(found), found.version)


async def list_organizations(context: Context, params: PageParams) -> OrganizationsResult:
    """All organizations, in pages. Operators only."""
    page = await context.services.directory.page(ORGANIZATION, limit=params.limit, cursor=params.cursor)
    return OrganizationsResult(
        organizations=[_shown(context, organization_of(found), found.version) for found in page.rows],
        next_cursor=page.next_cursor,
    )


def _shown(context: Context, organization: Organization, version: int) -> OrganizationResult:
    caller = context.caller
    return OrganizationResult(
        organization_id=organization.id,
        name=organization.name,
        pays=organization.pays,
        your_role=caller.organization_role if caller.organization_id == organization.id else None,
        version=version,
    )


_ACME: Final = {"organizationId": "acme", "name": "Acme", "pays": "pool", "version": 1}

METHODS = (
    Method(
        "createOrganization",
        create_organization,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(Forbidden, VersionChanged),
        examples=(Example("a team with a pool", {"organizationId": "acme", "name": "Acme", "pays": "pool"}, _ACME),),
    ),
    Method(
        "updateOrganization",
        update_organization,
        scope="organization:write",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidParams, NotFound, VersionChanged),
        examples=(
            Example(
                "members pay when the pool cannot",
                {"organizationId": "acme", "pays": "pool_then_member"},
                {**_ACME, "pays": "pool_then_member", "version": 2},
            ),
        ),
    ),
    Method(
        "deleteOrganization",
        delete_organization,
        scope="users:write",
        access=Access.REQUIRED,
        faults=(AccountNotEmpty, Forbidden, VersionChanged),
        examples=(Example("a team whose pool is empty", {"organizationId": "acme"}, {"deleted": True, "members": 3}),),
    ),
    Method(
        "getOrganization",
        get_organization,
        scope="organization:read",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidParams, NotFound),
        examples=(Example("by an operator", {"organizationId": "acme"}, _ACME),),
    ),
    Method(
        "listOrganizations",
        list_organizations,
        scope="users:read",
        access=Access.REQUIRED,
        faults=(Forbidden, InvalidCursor),
        examples=(Example("all of them", {}, {"organizations": [_ACME]}),),
    ),
)
