"""Quotas that were set for a user or an organization: what one says, and which counter it binds. Pure; nothing is counted here.

The counters are windows of the ledger: they are held and settled in the commits that move the money. A tier's own monthly
figures need no quota; one that is set for the same counter stands in their place (R4: explicit before tier).
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from billing.accounts import TENANT
from monetization.periods import Period, start_of, window_name
from storage.records.commands import Claim
from storage.records.fact import fact
from storage.records.ledger import WindowKey

TOKENS: Final = "tokens"
REQUESTS: Final = "requests"
SEEN: Final = (TOKENS, REQUESTS, "message", "completion", "api_call")
"""Resources that every paid call counts by itself: its tokens, and one of each of the others."""
RESOURCES: Final = (*SEEN, "file_upload", "storage", "vector_query", "tool_call", "embedding")
"""Resources that the documents name (S3-02); an operator may set quotas on any other name too. What is not in `SEEN` is counted
by `enforceQuota`, by whoever serves it."""
THRESHOLDS: Final = (80, 95, 100)
"""Where warnings are sent, in percent of the limit."""

Source = Literal["user", "organization"]


@fact
class Quota:
    """The most that a subject may use of a resource in each period."""

    subject: str
    """Whom it counts: `user:ID` or `org:ID`."""
    resource: str
    period: Period
    limit: int
    is_hard: bool = True
    """False: past the limit calls go on; what was passed is told."""
    thresholds: tuple[int, ...] = THRESHOLDS
    anchor_us: int = 0
    """When a billing period of the subject's subscription began; 0: they are calendar months."""

    def window(self, now_us: int) -> WindowKey:
        """The counter that counts now."""
        start_us = start_of(self.period, now_us, self.anchor_us)
        return WindowKey(TENANT, self.subject, self.resource, window_name(self.period, self.anchor_us), start_us)

    def claim(self, amount: int, now_us: int) -> Claim:
        """So much of the resource, used now."""
        return Claim(self.window(now_us), amount, self.limit, is_hard=self.is_hard, thresholds=self.thresholds)


def claims_of(
    quotas: Iterable[Quota], amounts: Mapping[str, int], now_us: int, *, is_own_key: bool
) -> tuple[Claim, ...]:
    """What a call claims of the quotas that concern it. On the caller's own provider key it uses none of our tokens (R21)."""
    return tuple(
        quota.claim(amounts[quota.resource], now_us)
        for quota in quotas
        if quota.resource in amounts and not (is_own_key and quota.resource in (TOKENS, REQUESTS))
    )


def over(claims: tuple[Claim, ...], quotas: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """Both, each counter once: where a quota is set for a counter, it decides."""
    said = {claim.window: claim for claim in quotas}
    return (*(said.pop(claim.window, claim) for claim in claims), *said.values())


def monthly(quotas: Iterable[Quota], subject: str, resource: str) -> Quota | None:
    """The quota that stands in the place of a tier's monthly figure; None without one."""
    for quota in quotas:
        if quota.period == "monthly" and quota.resource == resource and quota.subject == subject:
            return quota
    return None
