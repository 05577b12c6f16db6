"""Organizations and memberships as directory documents: their members, and how they are read back. Nothing is stored here."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, Literal

from monetization.callers import Budget, Pays, Pool
from monetization.directory import Directory, Document, Profile
from monetization.funding import TENANT
from monetization.roles import IN_ORGANIZATION, SPENDERS, OrganizationRole
from storage.errors import NotFound
from storage.records.commands import RequireVersion
from storage.records.fact import fact

# Any: a body is JSON that `members` has written.

ORGANIZATION: Final = "organization"
"""Documents of this kind: owner `org:ID`, key the ID."""
MEMBER: Final = "member"
"""Documents of this kind: owner `user:ID`, key `ORGANIZATION/USER`. An organization's id has no slash, so no two keys are one."""
ENDING: Final = "isEnding"
"""A member of an organization's document: it is being deleted, and takes no new members until that is done or it is changed."""
PAYS: Final[tuple[Pays, ...]] = ("pool", "member", "pool_then_member")
Window = tuple[Literal["tokens", "requests"], Literal["hourly", "daily", "monthly"]]
CAPS: Final[Mapping[str, Window]] = {
    "hourlyTokens": ("tokens", "hourly"),
    "hourlyRequests": ("requests", "hourly"),
    "dailyTokens": ("tokens", "daily"),
    "dailyRequests": ("requests", "daily"),
    "monthlyTokens": ("tokens", "monthly"),
    "monthlyRequests": ("requests", "monthly"),
}
"""What can be capped of what a member draws from the pool, by its name on the wire, such as `monthlyTokens`."""


@fact
class Organization:
    """Some users who may share a pool."""

    id: str
    name: str = ""
    pays: Pays = "member"

    def members(self) -> dict[str, object]:
        """The JSON of the document."""
        return {"name": self.name, "pays": self.pays}


@fact
class Membership:
    """A user's place in an organization."""

    organization_id: str
    user_id: str
    role: OrganizationRole = "member"
    caps: Mapping[str, int] = field(default_factory=dict)
    """Some of `CAPS`."""
    has_joined: bool = True
    """False: invited by an admin of the organization; it begins when the user accepts, or the user's credential names it too."""

    def members(self) -> dict[str, object]:
        """The JSON of the document."""
        return {"role": self.role, "caps": dict(self.caps), "hasJoined": self.has_joined}


def owner_of(organization_id: str) -> str:
    """As the directory names an organization."""
    return f"org:{organization_id}"


def key_of(organization_id: str, user_id: str) -> str:
    """The key of a membership."""
    return f"{organization_id}/{user_id}"


def organization_of(document: Document) -> Organization:
    """What a document says of an organization."""
    said = document.body
    pays: Pays = next((known for known in PAYS if known == said.get("pays")), "member")
    return Organization(document.key, str(said.get("name", "")), pays)


def membership_of(document: Document) -> Membership:
    """What a document says of a membership; a role that nobody knows only looks."""
    organization_id, _, user_id = document.key.partition("/")
    said: Mapping[str, Any] = document.body
    role: OrganizationRole = next((known for known in IN_ORGANIZATION if known == said.get("role")), "viewer")
    caps = {name: limit for name, limit in said.get("caps", {}).items() if name in CAPS and isinstance(limit, int)}
    return Membership(organization_id, user_id, role, caps, has_joined=said.get("hasJoined") is True)


def in_force(user: Profile, claimed: str | None) -> Membership | None:
    """The membership in which a user acts: that of the organization which the credential names, else the first one.

    One that was only offered counts where the credential names its organization too: its issuer says that the user belongs there.
    """
    found = [membership_of(document) for document in user.all(MEMBER)]
    standing = [one for one in found if one.has_joined or one.organization_id == claimed]
    return next((one for one in standing if one.organization_id == claimed), standing[0] if standing else None)


def pool_of(membership: Membership, organization: Organization) -> Pool | None:
    """What pays for the member's calls in the place of the member. None: nothing."""
    if organization.pays == "member" or membership.role not in SPENDERS:
        return None
    windows = ((CAPS[name], limit) for name, limit in membership.caps.items())
    caps = tuple(Budget(resource, limit, period) for (resource, period), limit in windows)
    return Pool(organization.id, organization.pays, caps)


async def stored(directory: Directory, organization_id: str) -> Document:
    """The organization as it is now. Raises: NotFound, StorageUnavailable."""
    found = (await directory.fresh(owner_of(organization_id))).one(ORGANIZATION, organization_id)
    if found is None:
        raise NotFound("there is no such organization; listOrganizations names those that there are")
    return found


async def standing(directory: Directory, organization_id: str) -> RequireVersion:
    """What must still be so when something is made for an organization; else it would open one that later has its name.

    Raises: NotFound, also while it is being deleted; StorageUnavailable.
    """
    found = await stored(directory, organization_id)
    if ENDING in found.body:
        raise NotFound("this organization is being deleted; change it to keep it")
    return RequireVersion(tenant=TENANT, kind=ORGANIZATION, key=organization_id, version=found.version)
