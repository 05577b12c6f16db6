"""Reports over kept rows and real calls: every figure equals a recount of the rows, in the documents' shapes."""

import asyncio
import csv
import io
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from billing.accounts import credits_of
from methods.dialects.canonical import TextDelta
from methods.method import to_wire
from methods.progress import Progress
from methods.reports_export import PAGE
from monetization.calls import Call, Credential
from storage.records.commands import Charge, Done, Grant
from storage.records.usage import Usage, UsageRow
from storage.store import open_store
from tests.fakes.turns import Others
from tests.methods.money.conftest import Product, Start

ASK = {"content": "What is a toll?", "options": {"maxTokens": 40}}
CHARGING = {
    "prices": {"simulator/simulator": {"input": "10", "output": "30"}, "simulator/other": {"input": "1", "output": "3"}}
}
DAY_US = 86_400_000_000
_numbers = count(1)


def now_us() -> int:
    return time.time_ns() // 1_000


def day_of(at_us: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at_us // 10**6))


def day_and_time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 10**6, UTC).isoformat()


def row(
    user: str | None = "ann", *, days_ago: float = 0, tokens: int = 100, cost: int | None = 1_000, **more: Any
) -> UsageRow:
    number = next(_numbers)
    made = UsageRow(
        id=f"row-{number}",
        request_id=f"req-{number}",
        occurred_us=now_us() - int(days_ago * DAY_US),
        user_id=user,
        caller_kind="subscription",
        tier="allowance",
        method="executeAIRequest",
        door="rpc",
        provider="simulator",
        model="simulator",
        outcome="done",
        usage=Usage(input=tokens // 2, output=tokens - tokens // 2),
        latency_us=2_000,
        cost_nano=cost,
        fee_nano=None if cost is None else cost // 5,
    )
    return replace(made, **more)


async def seeded(folder: Path, rows: Sequence[UsageRow], *, granted: int = 0) -> None:
    """Keep rows of the past, charged where they say so, as earlier days of the same server would have."""
    async with open_store(f"sqlite:///{folder / 'money.db'}", clock_us=now_us) as store:
        account = credits_of("ann", "TOKEN")
        if granted:
            await store.submit(
                Grant(account=account, amount=granted, source="test", source_ref="1", reason="promotion")
            )
        for kept in rows:
            if kept.charge_amount is None:
                await store.record_usage(kept)
                continue
            charge = Charge(
                account=account,
                amount=kept.charge_amount,
                usage=kept,
                ref=kept.request_id,
                occurred_us=kept.occurred_us,
            )
            assert isinstance(await store.submit(charge), Done)


async def events(product: Product, token: str, **params: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    asked: dict[str, object] = {"limit": 2, **params}
    while True:
        page = await product.call(token, "listUsageEvents", asked)
        found += page["events"]
        if "nextCursor" not in page:
            return found
        asked["cursor"] = page["nextCursor"]


async def test_stats_are_the_documents_and_equal_the_rows(start: Start) -> None:
    async with start(**CHARGING) as product:
        for user in ("ann", "ann", "ann", "bob"):
            await product.call(product.token(user, "allowance"), "executeAIRequest", ASK)
        token = product.token("ann", "allowance")
        rows = await events(product, token)
        assert len(rows) == 3
        stats = await product.call(token, "getUsageStats", {"period": "current_month"})
        tokens = sum(found["totalTokens"] for found in rows)
        assert stats["totalTokens"] == stats["quotaUsed"] == tokens > 0
        assert (stats["quotaLimit"], stats["requestCount"]) == (1_000_000, 3)
        assert stats["totalCost"] == pytest.approx(sum(found["cost"] for found in rows), abs=1e-12)
        assert stats["totalPlatformFees"] == pytest.approx(stats["totalCost"] / 5, abs=1e-8)
        (share,) = stats["topProviders"]
        assert (share["provider"], share["usage"], share["tokens"]) == ("simulator", 100.0, tokens)
        month = (await product.call(token, "getCreditUsage"))["data"]
        assert (month["totalTokens"], month["totalRequests"]) == (tokens, 3)
        assert month["byProvider"]["simulator"]["tokens"] == tokens


async def test_analytics_tell_own_keys_from_the_platforms_and_models_apart(tmp_path: Path, start: Start) -> None:
    await seeded(tmp_path, [
        row(tokens=300), row(tokens=100, model="other"),
        row(tokens=200, caller_kind="byok", provider="anthropic", model="claude"), row(days_ago=31),
    ])  # fmt: skip
    async with start(**CHARGING) as product:
        token = product.token("ann", "allowance")
        found = await product.call(token, "getUsageAnalytics", {"days": 30, "includeHistory": True, "historyLimit": 2})
        summary = found["summary"]
        assert (summary["totalRequests"], summary["totalTokens"], summary["averageTokensPerRequest"]) == (3, 600, 200.0)
        assert summary["estimatedTotalCostUsd"] == 3_000 / 10**9
        assert summary["subscription"] == {"requests": 2, "tokens": 400, "estimatedCostUsd": 2e-06}
        assert summary["byok"] == {"requests": 1, "tokens": 200, "estimatedCostUsd": 1e-06}
        first, second = summary["providerBreakdown"]
        assert (first["provider"], first["models"], first["percentage"]) == ("simulator", ["other", "simulator"], 66.67)
        assert (second["provider"], second["requests"]) == ("anthropic", 1)
        assert len(found["history"]) == 2
        usage = await product.call(token, "getUserUsage", {"period": "last_30_days"})
        assert [(part["model"], part["totalTokens"]) for part in usage["byModel"]] == [
            ("simulator", 300), ("claude", 200), ("other", 100),
        ]  # fmt: skip
        assert usage["totalCost"] == 3_600 / 10**9


async def test_a_series_has_no_gaps_and_sums_to_its_totals(tmp_path: Path, start: Start) -> None:
    await seeded(tmp_path, [row(days_ago=back, tokens=10 * back, model=model) for back in (1, 3, 6) for model in "ab"])
    async with start(**CHARGING) as product:
        token = product.token("ann", "allowance")
        asked = {"period": "last_7_days", "interval": "day", "timezone": "Europe/Berlin"}
        found = await product.call(token, "getUsageTimeSeries", asked)
        assert len(found["data"]) in (7, 8, 9)
        assert sum(part["totalTokens"] for part in found["data"]) == found["totals"]["totalTokens"] == 200
        assert any(part["eventCount"] == 0 for part in found["data"])
        assert all(
            part["date"][10:] == "T00:00:00+01:00" or part["date"][10:] == "T00:00:00+02:00"
            for part in found["data"][1:]
        )
        grouped = await product.call(token, "getUsageTimeSeries", {**asked, "groupBy": "model"})
        assert len(grouped["data"]) == 2 * len(found["data"])
        assert grouped["totals"]["totalTokens"] == 200
        assert {part["group"] for part in grouped["data"]} == {"a", "b"}
        hours = await product.call(token, "getUsageTimeSeries", {"period": "last_7_days", "interval": "hour"})
        assert len(hours["data"]) in (168, 169)
        assert hours["totals"] == found["totals"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"timezone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"interval": "minute", "period": "last_30_days"}, "more than 1500 minutes"),
        ({"period": "last_7_days", "startDate": "2026-01-01"}, "not both"),
        ({"startDate": "2026-02-01", "endDate": "2026-01-01"}, "startDate must lie before"),
        ({"startDate": "1970-01-02"}, "five years"),
        ({"startDate": "2026-01-01", "endDate": "2026-01-01"}, "startDate must lie before"),
        ({"endDate": "0001-01-02T00:00:00Z"}, "1900"),
        ({"startDate": "0001-01-01T00:00:00+14:00", "endDate": "0001-06-01"}, "1900"),
        ({"startDate": "9999-12-01", "endDate": "9999-12-31T23:59:59-14:00", "interval": "month"}, "2199"),
        ({"interval": "fortnight"}, "interval"),
    ],
)
async def test_what_cannot_be_shown_is_refused_by_name(start: Start, params: dict[str, object], said: str) -> None:
    async with start() as product:
        fault = await product.refused(product.token("ann"), "getUsageTimeSeries", params)
        assert said in str(fault)


async def test_a_series_of_more_groups_than_can_be_shown_is_refused_before_it_is_made(
    tmp_path: Path, start: Start
) -> None:
    day_us = (now_us() // DAY_US - 1) * DAY_US
    await seeded(tmp_path, [row(feature=f"f{number}", occurred_us=day_us) for number in range(15)])
    minutes = {"interval": "minute", "startDate": day_of(day_us), "endDate": day_of(day_us + DAY_US)}
    async with start(**CHARGING) as product:
        token = product.token("ann", "allowance")
        fault = await product.refused(token, "getUsageTimeSeries", {**minutes, "groupBy": "feature"})
        assert "more than 13 groups in 1440 buckets are too many" in str(fault)
        shown = await product.call(token, "getUsageTimeSeries", {**minutes, "interval": "hour", "groupBy": "feature"})
        assert len(shown["data"]) == 15 * 24


async def test_a_call_counts_for_the_feature_that_it_names(start: Start) -> None:
    async with start(**CHARGING) as product:
        token = product.token("ann", "allowance")
        await product.call(token, "executeAIRequest", {**ASK, "featureId": "chat"})
        await product.call(token, "executeAIRequest", ASK)
        refused = await product.refused(token, "executeAIRequest", {**ASK, "featureId": ""})
        assert "featureId" in str(refused.data)
        rows = await events(product, token)
        assert sorted(str(row.get("featureId")) for row in rows) == ["None", "chat"]
        found = await product.call(token, "getCostBreakdown", {"by": "feature", "period": "current_month"})
        assert {part.get("key"): part["requests"] for part in found["breakdown"]} == {"chat": 1, None: 1}


async def test_costs_are_split_by_any_dimension_and_add_up(tmp_path: Path, start: Start) -> None:
    await seeded(tmp_path, [
        row(cost=5_000, feature="chat"), row(cost=2_000, feature="search"), row(cost=1_000), row("bob", cost=9_000),
        row(tokens=9, cost=None, caller_kind="byok"),
    ])  # fmt: skip
    async with start(**CHARGING) as product:
        token = product.token("ann", "allowance")
        found = await product.call(token, "getCostBreakdown", {"by": "feature", "period": "last_7_days"})
        assert [(part.get("key"), part["cost"], part["percentage"]) for part in found["breakdown"]] == [
            ("chat", 5e-06, 62.5), ("search", 2e-06, 25.0), (None, 1e-06, 12.5),
        ]  # fmt: skip
        assert found["summary"]["unpricedRequests"] == 1
        assert found["summary"]["costExact"] == "0.000008"
        refused = await product.refused(token, "getCostBreakdown", {"by": "user"})
        assert refused.slug == "scope_required"
        everybody = await product.admin("getAdminAnalytics", {"period": "last_7_days"})
        assert everybody["summary"]["costExact"] == "0.000017"
        assert [(top["name"], top["requests"]) for top in everybody["topUsers"]] == [("ann", 4), ("bob", 1)]


async def test_a_forecast_follows_the_last_week_and_names_the_day(tmp_path: Path, start: Start) -> None:
    used = [row(days_ago=back + 0.5, charge_amount=100, charge_asset="TOKEN") for back in range(7)]
    await seeded(tmp_path, used, granted=1150)
    async with start() as product:
        token = product.token("ann", "virtual_tokens")
        ends_us = [now_us() + int(4.5 * DAY_US)]
        found = await product.call(token, "getBurnForecast")
        ends_us.append(now_us() + int(4.5 * DAY_US))
        assert (found["asset"], found["currentBalance"], found["dailyAverage"]) == ("TOKEN", 450, 100)
        assert (found["last7Days"], found["projectedRunout"]["daysRemaining"]) == (
            {"total": 700, "totalExact": "700", "averagePerDay": 100, "averageExact": "100"},
            4,
        )
        gone = found["projectedRunout"]["estimatedRunoutDate"]
        assert any(day_of(end_us) in gone for end_us in ends_us)
        assert [advice["type"] for advice in found["recommendations"]] == ["warning"]
        idle = await product.call(product.token("bob", "virtual_tokens"), "getBurnForecast")
        assert (idle["projectedRunout"], idle["recommendations"]) == ({}, [])


async def test_recommended_is_the_cheapest_tier_that_covers_the_month_and_a_model_that_costs_less(
    tmp_path: Path, start: Start
) -> None:
    """R9: what the month comes to decides, so five million tokens and one more need the tier above."""
    used = [row(days_ago=back + 0.01, tokens=20_000_000, cost=400_000_000_000, tier="starter") for back in range(3)]
    await seeded(tmp_path, used)
    async with start(**CHARGING) as product:
        token = product.token("ann", "starter")
        found = await product.call(token, "getRecommendations")
        assert (found["currentTier"], found["action"]) in (("starter", "upgrade"), ("starter", "contact"))
        (model,) = found["models"]
        assert (model["model"], model["requests"]) == ("simulator", 3)
        (other,) = model["alternatives"]
        assert (other["model"], other["isDeclaredFallback"]) == ("other", False)
        assert other["cost"] == 3 * (10_000_000 * 1 + 10_000_000 * 3) / 10**6
        assert found["potentialSaving"] == model["cost"] - other["cost"] > 0
        idle = await product.call(product.token("bob", "starter"), "getRecommendations")
        assert (idle["projectedMonthlySpend"], idle["recommendedTier"]["tier"], idle["action"]) == (
            0.0,
            "allowance",
            "downgrade",
        )


async def test_calls_on_own_keys_eat_nothing_that_a_tier_gives(tmp_path: Path, start: Start) -> None:
    """They are counted apart from the quota, so they neither foretell its end nor a dearer tier."""
    own = [row(days_ago=back + 0.01, tokens=50_000_000, cost=10**12, caller_kind="byok") for back in range(3)]
    await seeded(tmp_path, [*own, row(tokens=10)])
    async with start(**CHARGING) as product:
        token = product.token("ann", "starter")
        found = await product.call(token, "getRecommendations")
        assert found["currentSpend"] == 1e-06
        assert found["projection"]["tokens"] < 1_000
        assert found["action"] != "contact"
        assert found["models"][0]["requests"] == 4, "cheaper models are named for own keys too"
        quota = (await product.call(token, "getBurnForecast"))["quota"]
        assert (quota["willExceed"], quota["projectedUse"] < 1_000) == (False, True)


async def test_overage_is_told_apart_from_what_the_plan_includes(start: Start) -> None:
    tiers = {"tiny": {"policy": "allowance", "monthly_token_quota": 150, "overage": {"price_usd_per_million": "5"}}}
    async with start(tiers=tiers, **CHARGING) as product:
        token = product.token("ann", "tiny")
        for _ in range(4):
            await product.call(token, "executeAIRequest", ASK)
        rows = await events(product, token)
        past = [found for found in rows if found.get("chargedAsset") == "USD"]
        data = (await product.call(token, "getOverageCharges"))["data"]
        assert (data["enabled"], data["pricePerMillionUsd"], data["overageRequests"]) == (True, "5", len(past))
        assert len(past) in (1, 2, 3)
        assert data["overageTokens"] == sum(found["totalTokens"] for found in past)
        assert data["overageCharges"] == pytest.approx(sum(float(found["charged"]) for found in past))
        assert data["owed"] == data["overageCharges"]


async def test_an_operator_sees_revenue_margin_customers_and_who_came_and_went(tmp_path: Path, start: Start) -> None:
    await seeded(tmp_path, [row(cost=2_000_000_000, outcome="failed"), row(cost=1_000_000_000), row("bob", cost=0)])
    async with start(**CHARGING) as product:
        bought = {"tokens": 1000, "kind": "purchase", "pricePaid": "25"}
        await product.admin("grantTokens", {"userId": "ann", **bought})
        await product.admin(
            "grantTokens", {"userId": "cyd", **bought, "purchaseType": "subscription", "pricePaid": "99"}
        )
        for user, tier in (("ann", "starter"), ("bob", "starter"), ("cyd", "professional")):
            await product.admin("updateUserSubscription", {"userId": user, "tier": tier})
        await product.admin("updateUserSubscription", {"userId": "ann", "tier": "professional"})
        await product.admin("updateUserSubscription", {"userId": "bob", "status": "cancelled"})
        found = await product.admin("getAdminAnalytics", {"period": "last_30_days"})
        users = found["users"]
        assert (users["activeUsers"], users["subscribers"], users["subscribersByTier"]) == (2, 2, {"professional": 2})
        assert (users["started"], users["upgrades"], users["churned"]) == (3, 1, 1)
        revenue = found["revenue"]
        assert (revenue["purchases"], revenue["monthlyRecurring"], revenue["subscriptions"]) == (25.0, 198.0, 198.0)
        assert (revenue["total"], revenue["subscriptionPayments"]) == (223.0, 99.0)
        assert (users["purchases"], users["buyers"]) == (2, 2)
        assert (found["margin"]["providerCost"], found["margin"]["profit"]) == (3.0, 220.0)
        assert found["margin"]["marginPercent"] == 98.65
        assert found["quality"]["errorRatePercent"] == 33.33
        assert (users["averageRevenuePerUser"], users["averageCostPerUser"]) == (111.5, 1.5)
        refused = await product.refused(product.token("ann"), "getAdminAnalytics")
        assert refused.slug == "scope_required"


async def test_a_time_that_has_ended_is_told_of_with_the_subscribers_of_its_end(tmp_path: Path, start: Start) -> None:
    """Who subscribed since then brings nothing to it, and who is on trial brings nothing yet."""
    await seeded(tmp_path, [row(days_ago=40, cost=1_000_000_000)])
    ended = {"startDate": "2026-01-01", "endDate": datetime.fromtimestamp(now_us() / 10**6 - 60, UTC).isoformat()}
    async with start(**CHARGING) as product:
        await product.admin("updateUserSubscription", {"userId": "ann", "tier": "professional"})
        await product.admin("updateUserSubscription", {"userId": "bob", "tier": "professional", "status": "trialing"})
        before = await product.admin("getAdminAnalytics", ended)
        assert (before["revenue"]["total"], before["revenue"]["monthlyRecurring"]) == (0.0, 0.0)
        assert (before["users"]["subscribers"], before["users"]["started"]) == (0, 0)
        assert (before["margin"]["profit"], "marginPercent" in before["margin"]) == (-1.0, False)
        now = await product.admin("getAdminAnalytics", {"period": "last_7_days"})
        assert (now["users"]["subscribers"], now["users"]["started"]) == (2, 2)
        assert now["revenue"]["monthlyRecurring"] == 99.0
        for since, owed in ((-30, 99.0), (30, 0.0)):  # days to come bring nothing yet
            since_us, until_us = (now_us() + days * DAY_US for days in (since, 300))
            asked = {"startDate": day_and_time(since_us), "endDate": day_and_time(until_us)}
            told = (await product.admin("getAdminAnalytics", asked))["revenue"]
            assert (round(told["subscriptions"], 2), round(told["total"], 2)) == (owed, owed)
            assert told["monthlyRecurring"] == 99.0


async def test_usage_of_one_kind_is_not_set_against_everybodys_money(tmp_path: Path, start: Start) -> None:
    await seeded(
        tmp_path, [row(cost=2_000_000_000), row("bob", cost=10**9), row("bob", cost=10**9, caller_kind="byok")]
    )
    async with start(**CHARGING) as product:
        await product.admin("updateUserSubscription", {"userId": "cyd", "tier": "professional"})
        for narrowed, cost in (
            ({"userId": "ann"}, 2.0),
            ({"provider": "simulator"}, 3.0),
            ({"organizationId": "acme"}, 0.0),
        ):
            found = await product.admin("getAdminAnalytics", {"period": "last_7_days", **narrowed})
            assert not {"revenue", "users"} & found.keys()
            assert not {"profit", "profitExact", "marginPercent"} & found["margin"].keys()
            assert found["margin"]["providerCost"] == cost
        whole = await product.admin("getAdminAnalytics", {"period": "last_7_days"})
        assert (whole["margin"]["ownKeyCost"], whole["users"]["averageCostPerUser"]) == (1.0, 1.5)


async def test_nobody_sees_what_others_used(tmp_path: Path, start: Start) -> None:
    await seeded(tmp_path, [row(organization_id="acme"), row("bob", organization_id="acme"), row()])
    async with start() as product:
        await product.admin("createOrganization", {"organizationId": "acme", "name": "Acme"})
        for user, role in (("ann", "admin"), ("bob", "member")):
            await product.admin("addMember", {"organizationId": "acme", "userId": user, "role": role})
            await product.call(product.token(user), "joinOrganization", {"organizationId": "acme"})
        chief, member = product.token("ann", organization="acme"), product.token("bob", organization="acme")
        asked = {"organizationId": "acme", "period": "last_7_days"}
        assert (await product.call(chief, "getUsageStats", asked))["requestCount"] == 2
        assert (await product.call(chief, "getUserUsage", {**asked, "userId": "bob"}))["requests"] == 1
        for refused in (
            await product.refused(member, "getUsageStats", asked),
            await product.refused(chief, "getUsageStats", {"userId": "bob"}),
            await product.refused(product.token("eve"), "getUsageStats", asked),
            await product.refused(product.token("eve"), "exportUsage", {"everybody": True, "stream": True}),
        ):
            assert refused.slug in ("scope_required", "invalid_params")


async def streamed(product: Product, token: str, params: object) -> tuple[str, Any]:
    """What `exportUsage` streams, and its result."""
    parts: list[str] = []

    async def sink(items: Sequence[Progress]) -> None:
        parts.extend(item.text for item in items if isinstance(item, TextDelta))

    call = Call("exportUsage", orjson.loads(orjson.dumps(params)), Credential("bearer", token), "req_export",
                started=time.monotonic())  # fmt: skip
    result = orjson.loads(to_wire(await product.gateway.serve(call, sink)))
    return "".join(parts), result


async def test_exports_leave_everybody_else_a_turn_after_each_page_however_many_run(
    tmp_path: Path, start: Start
) -> None:
    await seeded(tmp_path, [row() for _ in range(2 * PAGE)])
    others = Others()
    pages: list[int] = []

    async def sink(items: Sequence[Progress]) -> None:  # a client that takes everything at once
        assert items
        pages.append(others.turns)

    async with start() as product:
        params = {"format": "ndjson", "period": "last_7_days", "stream": True}
        calls = [
            Call("exportUsage", dict(params), Credential("bearer", product.token("ann")), f"req_{number}", started=0.0)
            for number in range(4)
        ]
        async with others:
            await asyncio.gather(*(product.gateway.serve(call, sink) for call in calls))
    assert len(pages) >= 8
    assert len(set(pages)) == len(pages)


async def test_an_export_holds_every_row_once_and_no_formula(tmp_path: Path, start: Start) -> None:
    rows = [row(feature="=1+1", metadata={"team": "@evil"}) for _ in range(450)]
    await seeded(tmp_path, rows)
    async with start() as product:
        token = product.token("ann")
        text, result = await streamed(product, token, {"format": "csv", "period": "last_7_days"})
        found = list(csv.DictReader(io.StringIO(text)))
        assert {line["eventId"] for line in found} == {kept.request_id for kept in rows}
        assert (len(found), result["rows"], result["characters"]) == (450, 450, len(text))
        assert {line["featureId"] for line in found} == {"'=1+1"}
        text, result = await streamed(product, token, {"format": "ndjson", "period": "last_7_days"})
        assert sum(orjson.loads(line)["totalTokens"] for line in text.splitlines()) == 45_000
        everybody, _ = await streamed(product, product.token("boss", role="admin"), {"everybody": True})
        assert len(everybody.splitlines()) == 451
