"""The ways to pay for the events of one batch: found once for everybody who pays alike, then told with each event's own figures.

What they are is `monetization.funding`'s; nothing is charged here.
"""

from dataclasses import replace
from typing import Final

from monetization import quotas
from monetization.callers import Caller
from monetization.charging.policies import Charge
from monetization.funding import Source, quota_of, sources
from monetization.ingestion.events import NANO, Event
from monetization.periods import start_of
from monetization.tiers import Tier
from storage.records.commands import Claim

_Kept = tuple[int, int, str, int]
"""Caller and tier, each by its identity, policy, and the beginning of the month."""


class Ways:
    """Of one batch, whose callers and tiers live as long as this."""

    __slots__ = ("_kept", "_overdraft_tokens")

    def __init__(self, overdraft_tokens: int) -> None:
        self._kept: dict[_Kept, tuple[Source, ...]] = {}
        self._overdraft_tokens: Final = overdraft_tokens

    def of(self, event: Event, caller: Caller, tier: Tier, charge: Charge) -> tuple[Source, ...]:
        """The ways as they were when it happened, in the quota windows of that time; `told` gives each its figures."""
        if caller.quotas or caller.budgets or caller.pool is not None:
            return self._found(event, caller, tier, charge)
        # What a user pays with alone counts in windows of months, so events differ in their figures only.
        key = (id(caller), id(tier), charge.policy, start_of("monthly", event.occurred_us))
        ways = self._kept.get(key)
        if ways is None:
            ways = self._kept[key] = self._found(event, caller, tier, charge)
        return ways

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
    figures = quota_of(charge)
    claims = []
    for claim in way.claims:
        amount = figures.get(claim.window.resource, claim.amount)
        is_same = claim.amount == amount
        claims.append(
            claim if is_same else Claim(claim.window, amount, claim.limit, claim.is_hard, claim.thresholds, claim.carry)
        )
    return Source(way.name, way.account, way.actual(tier, charge), tuple(claims), way.overdraft)
