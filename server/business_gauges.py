"""Gauges of the business for dashboards: what the last thirty days came to, as `getAdminAnalytics` tells it."""

from collections.abc import Callable, Sequence
from typing import Final

from monetization.reports.asking import Reports, Whose, together
from monetization.reports.business import MONTH_DAYS, Subscribers, revenue_nano
from monetization.reports.ranges import DAY_US, Range
from monetization.tiers import Tiers
from storage.records.money import USD, scale_of
from storage.records.reports import UsageSum

READ_SECONDS: Final = 300.0
"""Between two readings: they go through the subscriptions and the purchases of a month."""


Told = Callable[[str, str, float], None]
"""Takes a figure: its name, what it says, its value."""


class BusinessGauges:
    """Nothing is told before its first reading. Every worker reads."""

    def __init__(self, told: Told, reports: Reports, tiers: Callable[[], Tiers], clock_us: Callable[[], int]) -> None:
        self._told = told
        self._reports = reports
        self._tiers = tiers
        self._clock_us = clock_us

    async def read(self) -> None:
        """Ask the store and tell. Raises: StorageUnavailable."""
        now_us = self._clock_us()
        span = Range(now_us - MONTH_DAYS * DAY_US, now_us)
        parts = await self._reports.parts(Whose(), span, ("caller_kind",))
        purchases = await self._reports.business.purchases(span)
        subscribers = await self._reports.business.subscribers(self._tiers(), span)
        active = (await self._reports.top_users(Whose(), span, 0)).count
        self._tell_money(parts, revenue_nano(together(parts), purchases, subscribers, span), active)
        self._tell_people(together(parts), subscribers, active)

    def _tell_money(self, parts: Sequence[UsageSum], revenue: int, active: int) -> None:
        total, told = together(parts), self._told
        own = sum(part.cost_nano for part in parts if part.key[0] == "byok")
        told("revenue_usd", "What customers owe: purchases less refunds, overage, subscriptions.", _dollars(revenue))
        told("provider_cost_usd", "What providers bill, callers' own keys left out.", _dollars(total.cost_nano - own))
        told("platform_fees_usd", "Fees on top of what providers bill.", _dollars(total.fee_nano))
        told("revenue_per_user_usd", "Revenue by active users.", _dollars(revenue) / active if active else 0)

    def _tell_people(self, total: UsageSum, subscribers: Subscribers, active: int) -> None:
        told, before = self._told, subscribers.at_start
        told("active_users", "Users who used something.", active)
        told("subscribers", "Subscriptions that are live now.", subscribers.live)
        told("churn_ratio", "Subscribers lost, of those at the beginning.", _ratio(subscribers.churned, before))
        told("upgrade_ratio", "Subscribers gone to a dearer tier, likewise.", _ratio(subscribers.upgraded, before))
        told("failed_calls_ratio", "Calls that failed, of all.", _ratio(total.failed, total.requests))


def _dollars(nano: int) -> float:
    return float(nano / 10 ** scale_of(USD))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
