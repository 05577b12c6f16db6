"""Reports where callers have invented very many names: what is shown is exact and bounded, and the whole stays the whole."""

import asyncio
from collections import Counter
from pathlib import Path

from monetization.reports.asking import PARTS_AT_ONCE
from storage.store import open_store
from tests.methods.money.conftest import Start
from tests.methods.money.test_reports import CHARGING, now_us, row

PARTS_MAX = 500
WEEK = {"period": "last_7_days"}


async def test_of_very_many_features_the_dearest_are_shown_and_the_summary_is_of_all(
    tmp_path: Path, start: Start
) -> None:
    names = [None, *(f"f{number:05}" for number in range(PARTS_AT_ONCE + 1))]
    costs = Counter({name: 1_000_000 * (number * 7919 % 5_003 + 1) for number, name in enumerate(names)})
    costs[None] = 10**10
    rows = [row(feature=name, cost=cost, tokens=cost // 10_000, days_ago=2) for name, cost in costs.items()]
    async with open_store(f"sqlite:///{tmp_path / 'money.db'}", clock_us=now_us) as store:
        await asyncio.gather(*map(store.record_usage, rows))
    wanted = [name for name, _ in costs.most_common(PARTS_MAX)]
    async with start(**CHARGING) as product:
        asked = {**WEEK, "by": "feature"}
        for found in (
            await product.call(product.token("ann", "allowance"), "getCostBreakdown", asked),
            await product.call(product.token("ann", "allowance"), "getCostBreakdown", {**asked, "model": "simulator"}),
        ):
            assert [part.get("key") for part in found["breakdown"]] == wanted
            assert found["summary"]["requests"] == len(names)
            assert round(found["summary"]["cost"] * 10**9) == costs.total()
            assert [round(part["cost"] * 10**9) for part in found["breakdown"]] == [costs[name] for name in wanted]
            assert found["breakdown"][0]["percentage"] == round(costs[None] * 100 / costs.total(), 2)
        parts = await product.call(product.token("ann", "allowance"), "getUsageBreakdown", WEEK)
        assert [part.get("featureId") for part in parts["byFeature"]] == wanted
        assert parts["summary"]["totalEvents"] == parts["byEventType"][0]["eventCount"] == len(names)
        told = await product.admin("getAdminAnalytics", {**WEEK, "top": 3})
        assert [part["name"] for part in told["topFeatures"]] == wanted[1:4]
        assert told["summary"]["requests"] == len(names)
        series = {**WEEK, "interval": "week", "groupBy": "feature"}
        shown = await product.call(product.token("ann", "allowance"), "getUsageTimeSeries", series)
        assert len({part.get("group") for part in shown["data"]}) == len(names)
