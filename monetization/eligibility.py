"""Whether a call would be served now, asked without making it: the ladder's own steps, and the books read instead of held.

The answer is a preview, not a promise: only a hold is one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from monetization.callers import Caller
from monetization.charging.policies import Charge
from monetization.entitlements import Entitlements
from monetization.funding import Source, sources
from monetization.people import People
from monetization.quotas import Quota
from monetization.quoting import Quote, Quotes
from monetization.refusals import Links, fault_of
from monetization.rollover import carried_into
from monetization.terms import Most, Terms
from monetization.tiers import Policy
from storage.errors import Fault, StorageUnavailable
from storage.ledger.answers import exceeded
from storage.records.commands import Claim, Refusal
from storage.records.ledger import AccountKey, Balance, Look
from storage.store import Counters


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen."""

    refusal: Fault | None
    """Why the call would be refused. None: it would be served."""
    quote: Quote | None
    """The most that it would cost; None where it would not get that far."""
    is_soft: bool = False
    """It would be served past a soft limit."""
    seen: Mapping[AccountKey, Balance] = field(default_factory=dict)
    """The balances that were looked at."""


@dataclass(frozen=True, slots=True)
class Metered:
    """A feature that is counted, where somebody has set a quota of its name for the user or the organization."""

    quota: Quota
    used: int
    """In the running period, with what running calls hold."""
    is_passed: bool
    """This action would go past the limit."""


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Previews calls."""

    people: People
    entitlements: Entitlements
    quotes: Quotes
    counters: Counters
    """Balances and windows; from memory, where a process serves."""
    links: Links
    overdraft_tokens: int = 0

    async def caller(self, user_id: str) -> Caller:
        """A user as an admin sees them: without a credential, so by what is kept alone. Raises: StorageUnavailable."""
        tier = self.entitlements.tiers().default.key
        return await self.people.complete(Caller(kind="subscription", user_id=user_id, tier=tier))

    async def preview(
        self, caller: Caller, method: str, terms: Terms, most: Most, rate: Callable[[Policy], Charge] | None = None
    ) -> Preview:
        """What a call of a metered method would come to; `rate`: what it costs, where that is not by its tokens.

        Raises: StorageUnavailable; every other fault is the answer.
        """
        try:
            self.entitlements.gate(caller, method)
            quote = self.quotes.quote(caller, self.entitlements.check(caller, terms, most), rate)
        except StorageUnavailable:
            raise
        except Fault as refused:
            return Preview(refused, None)
        first: tuple[Refusal, str] | None = None
        seen: dict[AccountKey, Balance] = {}
        tried = sources(caller, quote.tier, quote.charge, now_us=quote.at_us, overdraft_tokens=self.overdraft_tokens)
        for source in tried:
            refusal, is_soft = await self._refusal(source, seen)
            if refusal is None:
                return Preview(None, quote, is_soft, seen)
            first = first or (refusal, source.account.asset)
        assert first is not None, "there is always a source to try"
        return Preview(fault_of(*first, self.links), quote, seen=seen)

    async def metered(self, caller: Caller, feature: str, count: int) -> Metered | None:
        """Where the caller stands with the quota of a feature's name that leaves least; None: nobody counts it."""
        now = self.quotes.clock_us()
        found = []
        for quota in caller.quotas:
            if quota.resource == feature:
                window = await self.counters.window(quota.window(now))
                used = window.used + window.held
                found.append(Metered(quota, used, used + count > quota.limit))
        return min(
            found, key=lambda one: (not (one.is_passed and one.quota.is_hard), one.quota.limit - one.used), default=None
        )

    def is_feature(self, name: str) -> bool:
        """Whether any tier sells a feature of this name: then those without it are refused."""
        return any(name in tier.features for tier in self.entitlements.tiers().by_key.values())

    async def _refusal(self, source: Source, seen: dict[AccountKey, Balance]) -> tuple[Refusal | None, bool]:
        """Why this source would not cover the call, and whether it would only by passing a soft limit."""
        limited = [claim.window for claim in source.claims if claim.limit is not None]
        look = await self.counters.look(limited, source.account)
        balance = seen[source.account] = look.balance
        refusal, is_soft = await self._past(source.claims, look)
        if refusal is not None or not source.amount:
            return refusal, is_soft
        free = balance.available + max(balance.overdraft, source.overdraft)
        if free >= source.amount:
            return None, is_soft
        return Refusal("insufficient", {"needed": source.amount, "available": max(free, 0)}), is_soft

    async def _past(self, claims: Sequence[Claim], look: Look) -> tuple[Refusal | None, bool]:
        is_soft = False
        for claim in claims:
            if claim.limit is None:
                continue
            window = look.windows[claim.window]
            carried = await carried_into(self.counters, window, claim.carry)
            if window.used + window.held + claim.amount <= claim.limit + carried:
                continue
            if claim.is_hard:
                return exceeded(claim, used=window.used, held=window.held, carried=carried), is_soft
            is_soft = True
        return None, is_soft
