"""Who is calling: the outcome of identification, and all that the floors above may decide on."""

from dataclasses import field, replace
from typing import Literal

from monetization.quotas import Quota
from monetization.roles import ANONYMOUS, OF_ORGANIZATION, OrganizationRole, scopes_of
from storage.records.fact import fact

CallerKind = Literal["subscription", "byok", "anonymous", "operator"]


@fact
class Budget:
    """The most that a key's calls may come to in a period, whatever its owner may still use."""

    resource: Literal["tokens", "requests", "cost"]
    """`cost` counts what providers bill, in nano dollars."""
    limit: int
    period: Literal["hourly", "daily", "monthly", "lifetime"]


Pays = Literal["pool", "member", "pool_then_member"]
"""Who pays for the calls that members make: the organization together, each member alone, or the pool as long as it can."""


@fact
class Pool:
    """The balance of an organization that pays for a member's calls."""

    organization_id: str
    pays: Pays
    caps: tuple[Budget, ...] = ()
    """The most that this member may draw from it, by period."""


class Secret:
    """A credential that must reach a provider and nothing else: it never prints, compares or serialises itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The bare value. Call it only where the value goes on the wire."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


@fact
class Caller:
    """One identified caller. Everything here comes from the credential, never from the body of a call."""

    kind: CallerKind
    user_id: str | None = None
    """None for anonymous callers, and for keys of an organization alone."""
    organization_id: str | None = None
    organization_role: OrganizationRole | None = None
    """Of the membership that is kept here, or that of a token's admin where `auth.admin_reach` is `organization`. None: neither,
    though the credential may claim the organization."""
    pool: Pool | None = None
    """Who pays in the place of the user, or before. None: the user alone."""
    email: str | None = None
    tier: str = "anonymous"
    """Resolved tier key; a claim with an unknown tier has already fallen back to the default one."""
    roles: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    """Features that the credential itself names; a tier may add more."""
    limits: dict[str, int] = field(default_factory=dict)
    """Limits named by the credential: monthly_token_quota, rpm, tpm. They lower what the tier says, unless authoritative."""
    is_authoritative: bool = False
    """True where the issuer may also raise what the tier says."""
    key_id: str | None = None
    """The key of ours that was shown. None: another credential."""
    is_replaced: bool = False
    """True: of that key the secret before its last rotation was shown, which ends soon."""
    scopes: frozenset[str] | None = None
    """What the credential was narrowed to. None: to nothing, so that all counts that the roles allow."""
    models: frozenset[str] = frozenset()
    """Patterns of models that the key was narrowed to. Empty: to none, so that the tier decides alone."""
    budgets: tuple[Budget, ...] = ()
    """What calls with the key may come to, by period; counted for the key on top of what its user may use."""
    own_limits: dict[str, dict[str, int]] = field(default_factory=dict)
    """Speeds kept on our side, by whom they are for: "user" (in the place of the tier's), "organization" and "key" (on top, over
    all of its calls); each names some of rpm, tpm, concurrent, monthly_tokens and monthly_requests."""
    quotas: tuple[Quota, ...] = ()
    """Quotas set for the user and for the organization, on top of what the tier says."""
    subscription_status: str = "active"
    """The state of the subscription that is kept on our side; callers without one are judged by their credential alone."""
    period_start_us: int | None = None
    """When the subscription's billing period began, in Unix microseconds. None: calendar months."""
    address: str | None = None
    """The network address of the peer, for limits on anonymous callers."""
    own_key: Secret | None = None
    """The caller's own provider key (byok). None: the operator's key is used, and the caller pays."""
    own_key_provider: str | None = None
    """Whose key it is. None: that of the provider which the call names, or which is declared first for it."""

    @property
    def is_organizations(self) -> bool:
        """Whether it is an organization that calls, by a key of its own, and no user."""
        return self.user_id is None and self.organization_id is not None

    @property
    def subject(self) -> str:
        """Whose calls are told apart from others': the user's, else the organization's, else those of the address."""
        if self.is_organizations:
            return f"org:{self.organization_id}"
        return self.user_id if self.user_id is not None else f"ip:{self.address or 'unknown'}"

    def may(self, scope: str) -> bool:
        """Whether the roles allow it and the credential was not narrowed to something else."""
        if scope == "public":
            return True
        if self.scopes is not None and scope not in self.scopes:
            return False
        if self.kind == "operator":
            return True
        if self.user_id is None:
            return scope in (OF_ORGANIZATION if self.is_organizations else ANONYMOUS)
        return scope in scopes_of(self.roles, self.organization_role)

    def bringing(self, own_key: Secret | None, provider: str | None = None) -> "Caller":
        """The same caller with a provider key of their own, which makes them byok; unchanged without one."""
        return self if own_key is None else replace(self, kind="byok", own_key=own_key, own_key_provider=provider)
