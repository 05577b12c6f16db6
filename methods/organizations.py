"""Organizations: `createOrganization`, `updateOrganization`, `getOrganization`, `listOrganizations`. Audited.

An operator's admin makes them and reaches all of them; a member only ever its own, and a row of another one looks like none.
"""

from typing import Annotated, Final

from pydantic import Field

from methods.context import Context
from methods.errors import Forbidden, InvalidParams
from methods.method import Access, Example, Method, Params, Result
from methods.money_shapes import Limit, Reason, actor_of, beyond
from monetization.callers import Pays
from monetization.directory import Act, Document, putting
from monetization.organizations import ORGANIZATION, Organization, organization_of, owner_of
from monetization.roles import OrganizationRole, Scope
from storage.errors import InvalidCursor, NotFound, VersionChanged

OrganizationId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}$")]
"""Without a slash, which separates the parts of a membership's key."""
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
    profile = await context.services.directory.fresh(owner_of(organization_id))
    found = profile.one(ORGANIZATION, organization_id)
    if found is None:
        raise NotFound("there is no such organization; listOrganizations names those that there are")
    return found


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
