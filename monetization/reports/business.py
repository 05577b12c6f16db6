"""What an operator's business comes to: money that came in, subscribers, and what is left after the providers. Reads only.

Revenue is what customers owe for a time: single purchases less refunds, overage, and the subscriptions that were live at its end
at their tier's price, where a month's price counts for thirty days (so payments for them are told of and not added again). Days
to come bring nothing yet. Processors' fees are unknown here.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

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
TRIAL: Final = "trialing"
"""The state of one that nobody pays for yet."""

# Any: a kept subscription is JSON of our own writing.


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
    """Who subscribed at the end of a time, and who came, rose, sank and went in it."""

    by_tier: dict[str, int]
    """Live subscriptions by tier key, those on trial among them."""
    recurring_nano: int
    """Dollars a month, at the tiers' prices; trials bring nothing."""
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
        """What these subscriptions come to over so long a time."""
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
        async for row in self._kept(PURCHASE, span.since_us):
            if row.created_us >= span.until_us:
                continue
            found = read_of(row)
            if not isinstance(found, Purchase):
                refunded += found.value_nano
                continue
            count += 1
            buyers.add(row.key)
            paid[found.type] += found.paid_nano if found.currency == "USD" else 0
        return Purchases(count, len(buyers), paid["one_time"], paid["subscription"], refunded)

    async def subscribers(self, tiers: Tiers, span: Range) -> Subscribers:
        """Who subscribed at the end of a time (where it has not ended: now), and what became of subscriptions in it.

        What changed after it is taken back, change by change, from what is kept now.
        """
        live: Counter[tuple[str, bool]] = Counter()
        async for body in self._subscriptions():
            _count(live, tiers, body, 1)
        moves = {"started": 0, "upgraded": 0, "downgraded": 0, "churned": 0}
        async for row in self._kept(AUDIT, span.since_us):
            change = _change(row)
            if change is None:
                continue
            now, before = change
            if row.created_us >= span.until_us:
                _count(live, tiers, now, -1)
                _count(live, tiers, before, 1)
            elif (move := _move(now, before, tiers)) is not None:
                moves[move] += 1
        return _subscribers(live, moves, tiers)

    async def _kept(self, kind: str, since_us: int) -> AsyncIterator[KeptRow]:
        """Kept rows from a time on, the newest first."""
        cursor: str | None = None
        while True:
            page = await self.store.kept_page(TENANT, kind, limit=PAGE, cursor=cursor)
            for row in page.rows:
                if row.created_us < since_us:
                    return
                yield row
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _subscriptions(self) -> AsyncIterator[dict[str, Any]]:
        """Every subscription that is kept."""
        cursor: str | None = None
        while True:
            page = await self.store.entries(TENANT, SUBSCRIPTION, limit=PAGE, cursor=cursor)
            for entry in page.rows:
                yield orjson.loads(entry.body)
            cursor = page.next_cursor
            if cursor is None:
                return


def _count(live: Counter[tuple[str, bool]], tiers: Tiers, body: Mapping[str, Any], by: int) -> None:
    """Count a subscription that is live under its tier and whether it is on trial."""
    if body.get("status") in PAYING:
        live[tiers.of(str(body.get("tier", ""))).key, body["status"] == TRIAL] += by


def _subscribers(live: Mapping[tuple[str, bool], int], moves: Mapping[str, int], tiers: Tiers) -> Subscribers:
    by_tier: dict[str, int] = {}
    recurring = 0
    for (key, is_trial), count in live.items():
        if count:
            by_tier[key] = by_tier.get(key, 0) + count
            recurring += 0 if is_trial else tiers.by_key[key].price_nano * count
    return Subscribers(by_tier, recurring, **moves)


def _change(row: KeptRow) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """A subscription after and before a change; None for other acts. Before the first there was none."""
    body = orjson.loads(row.body)
    return (body.get("subscription") or {}, body.get("before") or {}) if body.get("action") == SUBSCRIBED else None


def _move(now: Mapping[str, Any], before: Mapping[str, Any], tiers: Tiers) -> str | None:
    """What a change of a subscription was; None for changes of neither state nor tier."""
    is_live, was_live = now.get("status") in PAYING, before.get("status") in PAYING
    if is_live != was_live:
        return "started" if is_live else "churned"
    if not is_live or now.get("tier") == before.get("tier"):
        return None
    price, old = tiers.of(str(now.get("tier"))).price_nano, tiers.of(str(before.get("tier"))).price_nano
    return "upgraded" if price > old else "downgraded" if price < old else None
