"""The ways to pay for events: found once for everybody who pays alike, then told with each event's own figures.

What they are is `monetization.funding`'s; nothing is charged here.
"""

from dataclasses import replace
from typing import Final

from monetization import quotas
from monetization.callers import Caller
from monetization.charging.policies import Charge
from monetization.funding import COST, OVERAGE, OWN_TOKENS, TOKENS, Source, quota_of, sources
from monetization.ingestion.events import NANO, Event
from monetization.periods import start_of
from monetization.tiers import Tier
from storage.records.commands import Claim

KEPT_MAX: Final = 2_000
"""Callers and months whose ways are remembered, each about a kilobyte."""
_COUNTS_TOKENS: Final = frozenset({TOKENS, OVERAGE, OWN_TOKENS})
_Key = tuple[int, int, str, int]
"""Caller and tier, each by its identity, policy, and the beginning of the month."""
_Kept = tuple[tuple[Source, ...], Caller, Tier]
"""The ways, and the two of the key, so that nothing else takes their identities meanwhile."""


class Ways:
    """Finds the ways, and remembers those of callers who stay as they are."""

    __slots__ = ("_kept", "_overdraft_tokens")

    def __init__(self, overdraft_tokens: int = 0) -> None:
        self._kept: dict[_Key, _Kept] = {}
        self._overdraft_tokens: Final = overdraft_tokens

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._kept)

    def of(self, event: Event, caller: Caller, tier: Tier, charge: Charge) -> tuple[Source, ...]:
        """The ways as they were when it happened, in the quota windows of that time; `told` gives each its figures."""
        if caller.quotas or caller.budgets or caller.pool is not None:
            return self._found(event, caller, tier, charge)
        # What a user pays with alone counts in windows of months, so events differ in their figures only.
        key = (id(caller), id(tier), charge.policy, start_of("monthly", event.occurred_us))
        kept = self._kept.get(key)
        if kept is None:
            while len(self._kept) >= KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            kept = self._kept[key] = (self._found(event, caller, tier, charge), caller, tier)
        return kept[0]

    def _found(self, event: Event, caller: Caller, tier: Tier, charge: Charge) -> tuple[Source, ...]:
        now_us = event.occurred_us
        found = tuple(sources(caller, tier, charge, now_us=now_us, overdraft_tokens=self._overdraft_tokens))
        if event.unit is None or not caller.quotas or event.unit in quota_of(charge):
            return found
        units = {event.unit: -(-(event.quantity_nano or 0) // NANO)}
        own = quotas.claims_of(caller.quotas, units, now_us, is_own_key=charge.policy == "byok")
        return tuple(replace(way, claims=quotas.over(way.claims, own)) for way in found)


def told(way: Source, tier: Tier, charge: Charge) -> Source:
    """The way with what this charge takes and counts: a counter counts the same of each event, whichever way is taken."""
    tokens, cost = charge.tokens, charge.cost_nano
    claims = []
    for claim in way.claims:
        resource, amount = claim.window.resource, claim.amount
        if resource in _COUNTS_TOKENS:
            amount = tokens
        elif resource == COST:
            amount = cost
        is_same = claim.amount == amount
        claims.append(
            claim if is_same else Claim(claim.window, amount, claim.limit, claim.is_hard, claim.thresholds, claim.carry)
        )
    return Source(way.name, way.account, way.actual(tier, charge), tuple(claims), way.overdraft)
