"""Who a caller is to us: what a credential says, completed by what is kept of its user and organization. Reads only.

What is kept wins: the subscription names the tier, own limits stand in the place of the tier's, a membership names the
organization and its pool. On every call this is a look into memory; what was made of two unchanged profiles is kept beside them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from monetization.callers import Caller, Pool
from monetization.directory import Directory, Profile
from monetization.errors import Unauthenticated
from monetization.organizations import ORGANIZATION, Membership, in_force, organization_of, owner_of, pool_of
from monetization.quotas import Quota
from monetization.stored_quotas import quotas_of
from monetization.subscriptions import ENDED, Subscription, limits_of, subscription_of

CALLERS_MAX: Final = 20_000
"""Completed callers kept in memory; of more, the oldest go."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A caller who was completed, and everything it was made of."""

    said: Caller
    user: Profile
    """Of an organization that calls itself: its own."""
    organization: Profile | None
    completed: Caller


@dataclass(frozen=True, slots=True)
class People:
    """Completes callers."""

    directory: Directory
    tier_of: Callable[[str], str | None]
    """The key of a tier's name or alias."""
    _known: dict[str, _Known] = field(default_factory=dict)

    def completed(self, caller: Caller) -> Caller | None:
        """The caller as we know them, where nothing has to be read for it. None: `complete` must."""
        name = caller.key_id if caller.is_organizations else caller.user_id
        known = None if name is None else self._known.get(name)
        return known.completed if known is not None and known.said is caller and self._stands(known) else None

    async def complete(self, caller: Caller) -> Caller:
        """The caller as we know them.

        Raises: Unauthenticated for a key of an organization that is gone; StorageUnavailable where what is kept cannot be read.
        """
        name = caller.key_id if caller.is_organizations else caller.user_id
        if name is None:
            return caller
        known = self._known.get(name)
        if known is not None and known.said is caller and self._stands(known):
            return known.completed
        made = await (self._of_organization(caller) if caller.is_organizations else self._completed(caller, name))
        self._known.pop(name, None)
        while len(self._known) >= CALLERS_MAX:
            del self._known[next(iter(self._known))]
        self._known[name] = made
        return made.completed

    def forget(self) -> None:
        """Complete everybody anew from now on: what tier names mean has changed."""
        self._known.clear()

    def _stands(self, known: _Known) -> bool:
        organization = known.organization
        return self.directory.known(known.user.owner) is known.user and (
            organization is None or self.directory.known(organization.owner) is organization
        )

    async def _of_organization(self, caller: Caller) -> _Known:
        """An organization that calls by a key of its own: its pool pays, nobody else. Raises: Unauthenticated once it is gone."""
        assert caller.organization_id is not None, "asked for those only"
        organization = await self.directory.of(owner_of(caller.organization_id))
        if organization.one(ORGANIZATION, caller.organization_id) is None:
            raise Unauthenticated("the organization of this key is gone; use another key", reason="organization_gone")
        inside = replace(caller, organization_role="viewer", pool=Pool(caller.organization_id, "pool"))
        return _Known(caller, organization, None, self._joined(inside, None, organization))

    async def _completed(self, caller: Caller, user_id: str) -> _Known:
        user = await self.directory.of(f"user:{user_id}")
        membership = in_force(user, caller.organization_id)
        named = caller.organization_id if membership is None else membership.organization_id
        organization = None if named is None else await self.directory.of(owner_of(named))
        if organization is not None and membership is None and _has_left(caller, organization):
            completed = self._joined(replace(caller, organization_id=None), user, None)
        else:
            member = caller if organization is None else _member(caller, membership, organization)
            completed = self._joined(member, user, organization)
        return _Known(caller, user, organization, completed)

    def _joined(self, caller: Caller, user: Profile | None, organization: Profile | None) -> Caller:
        subscription = _standing(user) or _standing(organization)
        own = {
            "user": {} if user is None else limits_of(user),
            "organization": {} if organization is None else limits_of(organization),
            **caller.own_limits,
        }
        if subscription is not None and subscription.monthly_tokens is not None:
            # What an organization has subscribed to is its members' together where a pool pays, else each member's own.
            whose = "organization" if caller.pool is not None and _standing(user) is None else "user"
            own[whose] = {"monthly_tokens": subscription.monthly_tokens, **own[whose]}
        limits = {whose: figures for whose, figures in own.items() if figures}
        quotas = _quotas(user, subscription) + _quotas(organization, _standing(organization))
        if subscription is None and limits == caller.own_limits and not quotas:
            return caller
        completed = replace(caller, own_limits=limits, quotas=quotas)
        if subscription is None:
            return completed
        tier = self.tier_of(subscription.tier)
        return replace(
            completed,
            tier=caller.tier if tier is None else tier,
            subscription_status=subscription.status,
            period_start_us=subscription.period_start_us,
        )


def _quotas(profile: Profile | None, subscription: Subscription | None) -> tuple[Quota, ...]:
    """What was set for the owner; billing periods are those of the subscription."""
    if profile is None:
        return ()
    return quotas_of(profile, None if subscription is None else subscription.period_start_us)


def _has_left(caller: Caller, organization: Profile) -> bool:
    """Whether a key names an organization that is kept here and of which its user is no member.

    Of a token its issuer says so anew each time; a key only remembers what was so when it was made.
    """
    return caller.key_id is not None and bool(organization.all(ORGANIZATION))


def _member(caller: Caller, membership: Membership | None, organization: Profile) -> Caller:
    """The caller inside an organization; a membership of one that is not kept here adds nothing to what is claimed."""
    if membership is None:
        return caller
    document = organization.one(ORGANIZATION, membership.organization_id)
    if document is None:
        return caller
    return replace(
        caller,
        organization_id=membership.organization_id,
        organization_role=membership.role,
        pool=pool_of(membership, organization_of(document)),
    )


def _standing(profile: Profile | None) -> Subscription | None:
    """The subscription that counts; one that has ended counts as none."""
    subscription = None if profile is None else subscription_of(profile)
    return None if subscription is None or subscription.status in ENDED else subscription
