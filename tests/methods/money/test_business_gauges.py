"""The gauges of the business say what `getAdminAnalytics` says."""

import time
from pathlib import Path

import pytest

from server.business_gauges import BusinessGauges
from server.metrics import Metrics
from tests.methods.money.conftest import Start
from tests.methods.money.test_reports import CHARGING, row, seeded


async def test_the_gauges_are_the_admins_report_of_thirty_days(tmp_path: Path, start: Start) -> None:
    rows = [
        row(cost=5_000_000_000),
        row("bob", cost=2_000_000_000, outcome="failed"),
        row(cost=10**12, caller_kind="byok"),
    ]
    await seeded(tmp_path, [*rows, row("old", days_ago=31, cost=10**12)])
    async with start(**CHARGING) as product:
        bob = {"userId": "bob", "tier": "allowance", "status": "active"}
        await product.admin("updateUserSubscription", bob)
        services, metrics = product.gateway.services, Metrics()
        gauges = BusinessGauges(metrics.business, services.reports, services.tiers, lambda: time.time_ns() // 1_000)

        def told(name: str) -> float | None:
            return metrics.registry.get_sample_value(f"tollgate_business_{name}")

        assert told("revenue_usd") is None
        await gauges.read()
        report = await product.admin("getAdminAnalytics", {"period": "last_30_days"})
        assert told("provider_cost_usd") == report["margin"]["providerCost"] == 7.0
        assert told("platform_fees_usd") == pytest.approx(report["margin"]["platformFees"])
        assert told("revenue_usd") == pytest.approx(report["revenue"]["total"])
        assert told("revenue_per_user_usd") == pytest.approx(report["users"]["averageRevenuePerUser"], abs=1e-6)
        assert told("active_users") == report["users"]["activeUsers"] == 2
        assert told("subscribers") == report["users"]["subscribers"] == 1
        assert told("churn_ratio") == told("upgrade_ratio") == 0
        assert told("failed_calls_ratio") == pytest.approx(1 / 3)
