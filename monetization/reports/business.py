"""What an operator's business comes to: money that came in, subscribers, and what is left after the providers. Reads only.

Revenue is what customers owe for a time: single purchases less refunds, overage, and subscriptions at their tier's price, where
a month's price counts for thirty days (so payments for them are told of and not added again). Processors' fees are unknown here.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import orjson

from billing.accounts import TENANT
from monetization.directory import AUDIT
from monetization.purchases import PURCHASE, Purchase, read_of
from monetization.reports.ranges import DAY_US, Range
from monetization.subscriptions import SUBSCRIBED, SUBSCRIPTION
from monetization.tiers import Tiers
from storage.records.fact import fact
from storage.records.kept import KeptRow
from storage.records.money import USD
from storage.records.reports import UsageSum
from storage.store import Reader

MONTH_DAYS: Final = 30
PAGE: Final = 500
PAYING: Final = ("active", "trialing", "past_due")
"""States of a subscription that is still one; a cancelled or expired one is not."""


@fact
class Purchases:
    """What was bought in a time."""

    count: int = 0
    buyers: int = 0
    paid_nano: int = 0
    """For single purchases in US dollars; those in other currencies are counted and not summed."""
    subscribed_nano: int = 0
    """For subscriptions, likewise."""
    refunded_nano: int = 0

    @property
    def net_nano(self) -> int:
        """What stayed."""
        return self.paid_nano - self.refunded_nano


@fact
class Subscribers:
    """Who subscribes now, and who came, rose, sank and went in a time."""

    by_tier: dict[str, int]
    """Live subscriptions by tier key."""
    recurring_nano: int
    """Dollars a month, at the tiers' prices."""
    started: int = 0
    upgraded: int = 0
    downgraded: int = 0
    churned: int = 0

    @property
    def live(self) -> int:
        """All of them."""
        return sum(self.by_tier.values())

    @property
    def at_start(self) -> int:
        """How many there were when the time began."""
        return max(0, self.live - self.started + self.churned)

    def revenue_nano(self, span: Range) -> int:
        """What the subscriptions of today come to over so long a time."""
        return self.recurring_nano * (span.until_us - span.since_us) // (MONTH_DAYS * DAY_US)


def revenue_nano(total: UsageSum, purchases: Purchases, subscribers: Subscribers, span: Range) -> int:
    """What customers owe for a time, in nano dollars; `total`: what was used in it."""
    return purchases.net_nano + total.charged.get(USD, 0) + subscribers.revenue_nano(span)


@dataclass(frozen=True, slots=True)
class Business:
    """Asks the store. Every method may raise StorageUnavailable."""

    store: Reader

    async def purchases(self, span: Range) -> Purchases:
        """What was bought and taken back."""
        count = refunded = 0
        paid = {"one_time": 0, "subscription": 0}
        buyers: set[str] = set()
        async for row in self._kept(PURCHASE, span):
            found = read_of(row)
            if not isinstance(found, Purchase):
                refunded += found.value_nano
                continue
            count += 1
            buyers.add(row.key)
            paid[found.type] += found.paid_nano if found.currency == "USD" else 0
        return Purchases(count, len(buyers), paid["one_time"], paid["subscription"], refunded)

    async def subscribers(self, tiers: Tiers, span: Range) -> Subscribers:
        """Who subscribes now, and what became of subscriptions in a time."""
        by_tier: dict[str, int] = {}
        async for tier in self._live():
            key = tiers.of(tier).key
            by_tier[key] = by_tier.get(key, 0) + 1
        recurring = sum(tiers.by_key[key].price_nano * count for key, count in by_tier.items())
        moves = {"started": 0, "upgraded": 0, "downgraded": 0, "churned": 0}
        async for row in self._kept(AUDIT, span):
            move = _move(row, tiers)
            if move is not None:
                moves[move] += 1
        return Subscribers(by_tier, recurring, **moves)

    async def _kept(self, kind: str, span: Range) -> AsyncIterator[KeptRow]:
        """Kept rows of a time, the newest first."""
        cursor: str | None = None
        while True:
            page = await self.store.kept_page(TENANT, kind, limit=PAGE, cursor=cursor)
            for row in page.rows:
                if row.created_us < span.since_us:
                    return
                if row.created_us < span.until_us:
                    yield row
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _live(self) -> AsyncIterator[str]:
        """The tier of every live subscription."""
        cursor: str | None = None
        while True:
            page = await self.store.entries(TENANT, SUBSCRIPTION, limit=PAGE, cursor=cursor)
            for entry in page.rows:
                body = orjson.loads(entry.body)
                if body.get("status") in PAYING:
                    yield str(body.get("tier", ""))
            cursor = page.next_cursor
            if cursor is None:
                return


def _move(row: KeptRow, tiers: Tiers) -> str | None:
    """What a change of a subscription was; None for other acts, and for changes of neither state nor tier."""
    body = orjson.loads(row.body)
    if body.get("action") != SUBSCRIBED:
        return None
    now, before = body.get("subscription") or {}, body.get("before") or {}
    is_live, was_live = now.get("status") in PAYING, before.get("status") in PAYING
    if is_live != was_live:
        return "started" if is_live else "churned"
    if not is_live or now.get("tier") == before.get("tier"):
        return None
    price, old = tiers.of(str(now.get("tier"))).price_nano, tiers.of(str(before.get("tier"))).price_nano
    return "upgraded" if price > old else "downgraded" if price < old else None
