"""Whom a call counts for, and how much each may do in a minute: the one place that decides it. Nothing is counted here.

| caller | counted per | limits |
|---|---|---|
| signed in, paid for by a plan | user | the tier's, or those kept for this user in their place; the credential's own only lower them, unless its issuer is authoritative (R19) |
| signed in, with an own provider key | user, apart from the calls that the plan pays for | `[limits] byok` (R21) |
| a key of an organization and no user | organization, over all such keys of it | the tier's, or `[limits] byok` |
| not signed in, whatever key they bring | network address, an IPv6 one by its first 64 bits | `[limits] anonymous` (R20) |
| any, with limits kept for the organization or the key | organization, key: on top, over all of its calls | those |

Metered calls are limited: they are what limits protect (S0-16 to S0-19 speak of AI requests and their tokens). A free method
reaches no provider and no ledger, and whoever was refused must be able to ask why (`getRateLimitStatus`); the few that do reach
one, or seal what they write, are `Act`s with limits of their own per user, counted apart from all others. Each element of a batch
and each notification is a call of its own, so neither is a way around (R12 of the JSON-RPC page).

All keys of one call begin with the same hash tag: that of the organization, without one of the user, else of the address. So one
script of a Redis Cluster can check them all. The price: who calls for two organizations is counted in each of them by itself,
which is what two credentials of two organizations are.
"""  # noqa: E501  # a table has wide rows

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final, Literal

from monetization.callers import Caller
from monetization.terms import Most
from monetization.tiers import Tiers
from storage.ephemeral.limiter import Bound

_NETWORK_BITS: Final = 64
"""An IPv6 customer usually has a network of 64 bits, so a single address of it says nothing (RFC 6177)."""

Act = Literal["key_checks", "key_changes"]
"""Free methods that are limited: asking a provider about a kept key; sealing and keeping one."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """How much may be done. None: not limited."""

    rpm: int | None = None
    """Requests a minute."""
    tpm: int | None = None
    """Tokens a minute."""
    concurrent: int | None = None
    """Requests at the same time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Decides; asks nobody."""

    tiers: Callable[[], Tiers]
    """The tiers in force now."""
    byok: Speeds = Speeds()
    anonymous: Speeds = Speeds()
    acts: Mapping[Act, int] = field(default_factory=dict)
    """How often a minute a user may do each. One that is not named is not limited."""

    def bounds(self, caller: Caller) -> tuple[Bound, ...]:
        """The limits that a metered call of this caller must keep, all of them or it is refused. Empty: none."""
        if caller.kind == "operator":
            return ()
        if caller.is_organizations:
            tag = f"{{org:{_plain(caller.organization_id or '')}}}"
            return (self._organizations(caller, tag), *_kept(caller, tag))
        if caller.user_id is None:
            key = network_of(caller.address or "unknown")
            speeds = self.anonymous
            return (Bound("address", f"{{ip:{key}}}address", speeds.rpm, speeds.tpm, speeds.concurrent),)
        user, organization = _plain(caller.user_id), caller.organization_id
        tag = f"{{user:{user}}}" if organization is None else f"{{org:{_plain(organization)}}}"
        mine = self._own_key(tag, user) if caller.kind == "byok" else self._planned(caller, tag, user)
        if not caller.own_limits:
            return (mine,)
        return (mine, *_kept(caller, tag))

    def of_act(self, caller: Caller, act: Act) -> tuple[Bound, ...]:
        """The limits that a free method must keep which is an act. Empty: none."""
        often = self.acts.get(act)
        if often is None or caller.user_id is None:
            return ()
        user = _plain(caller.user_id)
        return (Bound("user", f"{{user:{user}}}{act}:{user}", requests=often),)

    def tokens(self, caller: Caller, most: Most) -> int:
        """The tokens that are counted for a call until it is known what it used: never less than it can use.

        A tier lowers a length that the caller did not ask for, so no more than the tier's is counted.
        """
        output = most.tokens_output
        if caller.kind == "subscription":
            longest = self.tiers().of(caller.tier).max_tokens_per_request
            if longest is not None and longest < output:
                output = longest
        return most.tokens_input + output

    def _organizations(self, caller: Caller, tag: str) -> Bound:
        if caller.kind == "byok":
            return Bound("organization", f"{tag}byok", self.byok.rpm, self.byok.tpm, self.byok.concurrent)
        tier = self.tiers().of(caller.tier)
        return Bound("organization", f"{tag}keys", tier.rpm, tier.tpm, tier.concurrent)

    def _own_key(self, tag: str, user: str) -> Bound:
        speeds = self.byok
        return Bound("user", f"{tag}byok:{user}", speeds.rpm, speeds.tpm, speeds.concurrent)

    def _planned(self, caller: Caller, tag: str, user: str) -> Bound:
        tier, own = self.tiers().of(caller.tier), caller.own_limits.get("user")
        rpm, tpm, concurrent = tier.rpm, tier.tpm, tier.concurrent
        if own is not None:
            rpm, tpm, concurrent = own.get("rpm", rpm), own.get("tpm", tpm), own.get("concurrent", concurrent)
        said = caller.limits
        if said:
            rpm = _said(said, "rpm", rpm, is_final=caller.is_authoritative)
            tpm = _said(said, "tpm", tpm, is_final=caller.is_authoritative)
            concurrent = _said(said, "concurrent", concurrent, is_final=caller.is_authoritative)
        return Bound("user", f"{tag}user:{user}", rpm, tpm, concurrent)


def _kept(caller: Caller, tag: str) -> tuple[Bound, ...]:
    """The limits that are kept for the caller's organization and key."""
    found = []
    for kind, name in (("organization", caller.organization_id), ("key", caller.key_id)):
        own = caller.own_limits.get(kind)
        if own and name is not None:
            key = f"{tag}{kind}:{_plain(name)}"
            found.append(Bound(kind, key, own.get("rpm"), own.get("tpm"), own.get("concurrent")))
    return tuple(found)


def _said(said: Mapping[str, int], name: str, ours: int | None, *, is_final: bool) -> int | None:
    """What holds of a credential's figure and ours."""
    theirs = said.get(name)
    if theirs is None:
        return ours
    return theirs if is_final or ours is None or theirs < ours else ours


def _plain(name: str) -> str:
    """A name that cannot end a hash tag: no two names become one."""
    return name.replace("%", "%25").replace("}", "%7D") if "}" in name or "%" in name else name


@lru_cache(1024)
def network_of(address: str) -> str:
    """What an address is counted under."""
    if ":" not in address:
        return address
    try:
        whole = IPv6Address(address.partition("%")[0])
    except ValueError:
        return _plain(address)
    if whole.ipv4_mapped is not None:
        return str(whole.ipv4_mapped)
    return f"{IPv6Address(int(whole) >> _NETWORK_BITS << _NETWORK_BITS)}/{_NETWORK_BITS}"
