"""Who may do what: every scope there is, and the one table from roles to scopes. Nobody is asked here, and nothing is kept.

A role comes from a credential and holds for the whole installation. A credential that names none of these roles is a member's,
whatever else it names. Where one operator has one installation, `admin` reaches everybody in it and `super-admin` may the same.
Where the organizations are tenants (`auth.admin_reach = "organization"`), a token's `admin` is read as an admin in the one that
the token names, and `super-admin` alone crosses tenants, as in the documents (S3-32). What a role gives inside an organization
stands in a table of its own, because it ends there.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

Scope = Literal[
    "public",  # what anybody is told: prices, tiers, models, whether the server is there
    "ai:call",  # asking providers, and ending one's own calls
    "account:write",  # joining an organization, and leaving it
    "account:read",  # one's own standing: balance, histories, tier, limits, keys without their secrets
    "keys:write",  # one's own gateway keys and kept provider keys
    "organization:read",  # the organization that one belongs to, and one's own place in it
    "organization:write",  # its members and their caps
    "users:read",  # other users and organizations
    "users:write",  # their subscriptions, limits, keys and memberships
    "money:write",  # grants, corrections, refunds, transfers
    "prices:write",  # prices and burn tables
    "tiers:write",
    "audit:read",  # who did what
    "blocks:write",  # who is blocked for abuse
    "events:write",  # telling of usage that did not pass through this server, of any user
]
Role = Literal["viewer", "member", "service", "admin", "super-admin"]
OrganizationRole = Literal["viewer", "member", "admin"]

_VIEWER: Final[frozenset[str]] = frozenset({"public", "account:read"})
_MEMBER: Final = _VIEWER | {"account:write", "ai:call", "keys:write"}
_ADMIN: Final = _MEMBER | {
    *("users:read", "users:write", "organization:read", "organization:write"),
    *("money:write", "prices:write", "tiers:write", "audit:read", "blocks:write", "events:write"),
}
EVERY: Final = _ADMIN
SCOPES: Final[Mapping[Role, frozenset[str]]] = {
    "viewer": _VIEWER,
    "member": _MEMBER,
    "service": frozenset({"public", "events:write"}),
    "admin": _ADMIN,
    "super-admin": EVERY,
}
"""`service` is a program's that tells of usage, `admin` the operator's where it reaches the installation; `super-admin` has every
scope, also later ones."""
IN_ORGANIZATION: Final[Mapping[OrganizationRole, frozenset[str]]] = {
    "viewer": frozenset({"organization:read"}),
    "member": frozenset({"organization:read"}),
    "admin": frozenset({"organization:read", "organization:write"}),
}
"""What a membership that is kept here adds, for that one organization. A credential that only claims one adds nothing, but an
admin's where that role reaches organizations."""
SPENDERS: Final[frozenset[OrganizationRole]] = frozenset({"member", "admin"})
"""Whose calls the organization's pool may pay for."""
TELLING: Final[Scope] = "events:write"
"""A gateway key that was narrowed to this scope among others acts as a service's: keys have no role, only their scopes."""
TELLERS: Final[frozenset[str]] = frozenset({"service", "member"})
"""The roles of such a key."""
OF_ORGANIZATION: Final = _VIEWER | {"ai:call", "keys:write", "organization:read"}
"""A gateway key that belongs to an organization and to no user: it calls, looks, and can rotate or end itself."""
ANONYMOUS: Final = _MEMBER
"""Callers without a credential; which methods take them at all is the method's `access`."""


@lru_cache(1024)
def scopes_of(roles: frozenset[str], organization_role: OrganizationRole | None = None) -> frozenset[str]:
    """The scopes of a credential's roles and of a membership."""
    found = [scopes for role, scopes in SCOPES.items() if role in roles] or [SCOPES["member"]]
    inside = frozenset[str]() if organization_role is None else IN_ORGANIZATION[organization_role]
    return inside.union(*found)
