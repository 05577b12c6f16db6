"""Where quotas stand, and counting what Tollgate does not see itself: checked and counted in one commit of the ledger."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from billing.accounts import credits_of, pool_of
from monetization.callers import Caller
from monetization.charging.policies import Charge
from monetization.directory import Directory
from monetization.funding import TENANT, sources
from monetization.periods import end_of, kind_of, start_of
from monetization.quotas import TOKENS, Quota
from monetization.refusals import Links, fault_of
from monetization.rollover import carried_into
from monetization.stored_quotas import quotas_of
from monetization.subscriptions import subscription_of
from monetization.tiers import Tier, Tiers
from storage.records.commands import Charge as Counting
from storage.records.commands import Claim, Idempotency, Refusal
from storage.records.fact import fact
from storage.records.ledger import WindowKey, WindowView
from storage.records.money import TOKEN
from storage.store import Counters, Store

DAY_US: Final = 86_400_000_000
DAYS_LEFT_MAX: Final = 365
"""Use that is so little that a quota would last for longer than a year says nothing about the day on which it ends."""
RECENT_DAYS: Final = 7
"""A month that is younger says too little about recent use; the month before it is looked at too."""

Origin = Literal["tier", "user", "organization", "member"]
"""Who set it; `member`: what a member may draw of the organization's pool."""


@fact
class Standing:
    """A quota and what is counted of it now."""

    quota: Quota
    origin: Origin
    used: int
    held: int
    """What running calls may use at most."""
    resets_us: int | None
    """When the next period begins. None: never."""
    carried: int = 0
    """What the period before left over; it raises the limit."""

    @property
    def limit(self) -> int:
        """What may be used in this period."""
        return self.quota.limit + self.carried

    @property
    def left(self) -> int:
        """What a new call may take; 0 where nothing is left."""
        return max(0, self.limit - self.used - self.held)

    def allows(self, amount: int) -> bool:
        """Whether so much more would be let through."""
        return not self.quota.is_hard or self.used + self.held + amount <= self.limit


@dataclass(frozen=True, slots=True)
class QuotaDesk:
    """Answers for users and organizations."""

    store: Store
    directory: Directory
    tiers: Callable[[], Tiers]
    links: Links
    clock_us: Callable[[], int]

    async def of_user(self, caller: Caller, counters: Counters | None = None) -> tuple[Standing, ...]:
        """Every quota that binds the caller's calls: the tier's monthly figures, a member's caps, what was set for both.

        `counters`: where the figures are read; None: from the books. Raises: StorageUnavailable.
        """
        now_us = self.clock_us()
        tier = self.tiers().of(caller.tier)
        return await self._standings(_in_force(caller, tier, now_us), counters)

    async def of_organization(self, organization_id: str, counters: Counters | None = None) -> tuple[Standing, ...]:
        """Every quota that was set for an organization; `counters` as for a user. Raises: StorageUnavailable."""
        now_us = self.clock_us()
        profile = await self.directory.of(f"org:{organization_id}")
        subscription = subscription_of(profile)
        found = quotas_of(profile, None if subscription is None else subscription.period_start_us)
        return await self._standings([(quota.claim(0, now_us), quota, "organization") for quota in found], counters)

    async def month_of(self, owner: str) -> int:
        """The tokens that calls of `user:ID` or `org:ID` counted this month, limited or not; from memory.

        Raises: StorageUnavailable.
        """
        start_us = start_of("monthly", self.clock_us())
        key = WindowKey(TENANT, owner, TOKENS, "monthly", start_us)
        return (await self.store.remembered.window(key)).used

    async def count(
        self,
        owner: tuple[Literal["user", "organization"], str],
        resource: str,
        amount: int,
        found: Iterable[Standing],
        key: str | None,
    ) -> None:
        """Count an amount of a resource in all of the quotas, or in none. With a key it is counted once.

        Raises: QuotaExceeded where a hard one does not cover it; IdempotencyConflict, StorageUnavailable.
        """  # fmt: skip
        now_us, (kind, number) = self.clock_us(), owner
        claims = tuple(one.quota.claim(amount, now_us) for one in found)
        charge = Counting(
            account=credits_of(number, TOKEN) if kind == "user" else pool_of(number, TOKEN),
            amount=0,
            claims=claims,
            idempotency=None if key is None else Idempotency(f"quota:{kind}:{number}", key, f"{resource}:{amount}"),
        )
        outcome = await self.store.submit(charge)
        if isinstance(outcome, Refusal):
            raise fault_of(outcome, TOKEN, self.links)

    async def days_left(self, standing: Standing) -> int | None:
        """How many days what is left of a monthly quota lasts at the pace of recent use, `DAYS_LEFT_MAX` at most.

        It runs on past the reset, as the document's own figure does: it says how fast the quota is used, not when it is empty.
        None where nothing was used.

        Recent is this month, and the one before while this one is younger than `RECENT_DAYS`. Raises: StorageUnavailable.
        """
        now_us, window = self.clock_us(), standing.quota.window(self.clock_us())
        used, since_us = standing.used, window.start_us
        if now_us - since_us < RECENT_DAYS * DAY_US:
            before_us = start_of("monthly", since_us - 1)
            before = await self.store.remembered.window(WindowKey(*window[:4], before_us))
            if before.used:
                used, since_us = used + before.used, before_us
        if not used:
            return None
        return min(standing.left * max(now_us - since_us, DAY_US) // (used * DAY_US), DAYS_LEFT_MAX)

    async def _standings(
        self, found: Sequence[tuple[Claim, Quota, Origin]], counters: Counters | None
    ) -> tuple[Standing, ...]:
        if not found:
            return ()
        asked = counters or self.store
        windows = (await asked.look([claim.window for claim, _, _ in found], None)).windows
        return tuple([await _standing(asked, windows[one[0].window], *one) for one in found])


async def _standing(counters: Counters, window: WindowView, claim: Claim, quota: Quota, origin: Origin) -> Standing:
    key = claim.window
    carried = await carried_into(counters, window, claim.carry) if claim.carry is not None else 0
    return Standing(quota, origin, window.used, window.held, end_of(key.period, key.start_us), carried)


def _in_force(caller: Caller, tier: Tier, now_us: int) -> list[tuple[Claim, Quota, Origin]]:
    """What binds a call of the caller's, as the call itself would claim it, and then what others count."""
    said = {quota.window(now_us): quota for quota in caller.quotas}
    found: list[tuple[Claim, Quota, Origin]] = []
    policy = "byok" if caller.kind == "byok" else tier.policy
    nothing = Charge(policy, tokens=0, cost_nano=0, fee_nano=0, asset=None, amount=0, fee_amount=0)
    known = caller.user_id is not None or caller.is_organizations
    for claim in next(sources(caller, tier, nothing, now_us=now_us)).claims if known else ():
        subject, resource, limit = claim.window.subject, claim.window.resource, claim.limit
        if limit is None or not subject.startswith(("user:", "org:", "member:")) or claim.window in said:
            continue
        implied = Quota(subject, resource, kind_of(claim.window.period), limit, thresholds=claim.thresholds)
        found.append((claim, implied, "member" if subject.startswith("member:") else "tier"))
    own = f"user:{caller.user_id}"
    return found + [
        (quota.claim(0, now_us), quota, "user" if quota.subject == own else "organization") for quota in said.values()
    ]


def month_of_tokens(found: Iterable[Standing], owner: str) -> Standing | None:
    """The month's tokens that an owner's calls draw on: the own ones, or of members the pool's and what they may draw of it.

    The tightest of them; None where nothing limits them.
    """
    months = (one for one in found if (one.quota.resource, one.quota.period) == (TOKENS, "monthly"))
    drawn = (one for one in months if one.origin in ("tier", "member") or one.quota.subject == owner)
    return min(drawn, key=lambda one: one.left, default=None)


def tightest(found: Iterable[Standing], amount: int) -> Standing | None:
    """The quota that a use of so much meets first: one that refuses, else the one with the least left. None: no quota at all."""
    return min(found, key=lambda one: (one.allows(amount), one.left), default=None)
