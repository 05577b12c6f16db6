"""Quotas that an admin sets bind calls and what other services count, and are shown in the shapes of the documents."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from methods.errors import Forbidden, InvalidParams
from monetization.errors import QuotaExceeded
from server.jsonrpc import fault_reply
from storage.errors import Fault, IdempotencyConflict, NotFound
from storage.store import open_reader
from tests.methods.money.conftest import Product, Start

ASK = {"content": "Hello", "options": {"maxTokens": 50}}
MESSAGES = {"resource": "message", "period": "daily"}
UPLOADS = {"resource": "file_upload", "period": "monthly"}


async def test_a_hard_quota_refuses_the_call_that_would_pass_it_and_says_when_it_resets(start: Start) -> None:
    async with start(urls={"upgrade": "https://shop.example/upgrade"}) as product:
        await product.admin("setQuota", {"userId": "u1", **MESSAGES, "limit": 2})
        token = product.token("u1", "free")
        for _ in range(2):
            await product.call(token, "executeAIRequest", ASK)
        refused = await product.refused(token, "executeAIRequest", ASK)
        assert isinstance(refused, QuotaExceeded)
        said = dict(refused.data)
        assert str(said.pop("resetDate")).endswith("T00:00:00Z")
        assert said == {
            "resource": "message", "period": "daily", "quotaUsed": 2, "quotaHeld": 0, "quotaLimit": 2, "requested": 1,
            "upgradeUrl": "https://shop.example/upgrade",
        }  # fmt: skip
        await product.call(product.token("u2", "free"), "executeAIRequest", ASK)


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ("hourly", "Hourly quota exceeded"),
        ("daily", "Daily quota exceeded"),
        ("monthly", "Monthly quota exceeded"),
        ("billing_period", "Billing period quota exceeded"),
        ("total", "Lifetime quota exceeded"),
    ],
)
async def test_the_fault_names_its_period_and_that_of_a_month_is_the_documents(
    product: Product, period: str, message: str
) -> None:
    await product.admin("setQuota", {"userId": "u1", "resource": "message", "period": period, "limit": 0})
    refused = await product.refused(product.token("u1", "free"), "executeAIRequest", ASK)
    assert isinstance(refused, QuotaExceeded)
    assert refused.message == message
    assert orjson.loads(fault_reply(1, refused, "req_1"))["error"]["message"] == message


async def test_a_soft_quota_lets_calls_through_and_previews_say_so(product: Product) -> None:
    await product.admin("setQuota", {"userId": "u1", **MESSAGES, "limit": 1, "isHardLimit": False})
    token = product.token("u1", "free")
    for _ in range(3):
        await product.call(token, "executeAIRequest", ASK)
    preview = await product.call(token, "checkEntitlement", {"action": {"estimatedOutputTokens": 10}})
    assert (preview["allowed"], preview["code"]) == (True, "soft_limit")
    checked = await product.call(token, "checkQuota", {"resource": "message"})
    assert (checked["allowed"], checked["current"], checked["percentage"]) == (True, 3, 300.0)


async def test_a_quota_of_monthly_tokens_stands_in_the_place_of_the_tiers_and_counts_what_was_used_before(
    product: Product,
) -> None:
    token = product.token("u1", "free")
    await product.call(token, "executeAIRequest", ASK)
    used = (await product.call(token, "checkQuotaStatus"))["quotaUsed"]
    assert used > 0
    await product.admin("setQuota", {"userId": "u1", "resource": "tokens", "period": "monthly", "limit": used})
    refused = await product.refused(token, "executeAIRequest", ASK)
    assert (refused.data["quotaUsed"], refused.data["quotaLimit"]) == (used, used)
    await product.admin("grantTokens", {"userId": "u1", "tokens": 10_000, "kind": "purchase"})
    assert isinstance(await product.refused(token, "executeAIRequest", ASK), QuotaExceeded)
    await product.admin("deleteQuota", {"userId": "u1", "resource": "tokens", "period": "monthly"})
    assert (await product.call(token, "executeAIRequest", ASK))["quotaRemaining"] < 50_000


async def test_the_months_tokens_are_shown_as_the_document_shows_them(product: Product) -> None:
    token = product.token("u1", "free")
    fresh = await product.call(token, "checkQuotaStatus")
    assert str(fresh.pop("resetDate")).endswith("-01T00:00:00Z")
    assert fresh == {
        "quotaRemaining": 50_000, "quotaLimit": 50_000, "quotaUsed": 0, "warningThreshold": 80,
        "currentUsagePercentage": 0.0,
    }  # fmt: skip
    await product.call(token, "executeAIRequest", ASK)
    said = await product.call(token, "checkQuotaStatus")
    assert said["quotaRemaining"] == 50_000 - said["quotaUsed"]
    assert said["currentUsagePercentage"] == round(said["quotaUsed"] / 500, 2)
    assert said["estimatedDaysRemaining"] == 365, "so little use would last for longer, which says nothing"
    unlimited = await product.call(product.token("u2", "virtual_tokens"), "checkQuotaStatus")
    assert unlimited == {"quotaUsed": 0}


async def test_a_billing_period_runs_from_where_the_subscription_began(product: Product) -> None:
    began = "2024-01-31T23:59:58+00:00"
    await product.admin("updateUserSubscription", {"userId": "u1", "tier": "free", "periodStart": began})
    await product.admin("setQuota", {"userId": "u1", "resource": "api_call", "period": "billing_period", "limit": 1})
    token = product.token("u1", "free")
    await product.call(token, "executeAIRequest", ASK)
    refused = await product.refused(token, "executeAIRequest", ASK)
    assert isinstance(refused, QuotaExceeded)
    assert (refused.data["period"], refused.data["quotaUsed"]) == ("billing_period", 1)
    resets = datetime.fromisoformat(str(refused.data["resetDate"]))
    assert resets.strftime("%H:%M:%S") == "23:59:58"
    assert (resets + timedelta(days=1)).day == 1, "the last of the month"


async def test_members_whose_pool_pays_see_what_is_left_of_the_pools_month(product: Product) -> None:
    await product.admin("createOrganization", {"organizationId": "blue", "name": "Blue", "pays": "pool"})
    for user in ("u1", "u2"):
        await product.admin("addMember", {"organizationId": "blue", "userId": user})
    await product.call(product.token("u2", "free"), "executeAIRequest", ASK)
    said = await product.call(product.token("u1", "free"), "checkQuotaStatus")
    assert (said["quotaLimit"], said["quotaRemaining"]) == (50_000, 50_000 - said["quotaUsed"])
    assert said["quotaUsed"] > 0


async def test_an_organizations_quota_binds_all_its_members_together(product: Product) -> None:
    await product.admin("setQuota", {"organizationId": "acme", **UPLOADS, "limit": 5})
    await product.admin(
        "setQuota", {"organizationId": "acme", "resource": "vector_query", "period": "total", "limit": 9}
    )
    counted = await product.admin("enforceQuota", {"organizationId": "acme", "resource": "file_upload", "amount": 4})
    assert (counted["current"], counted["limit"], counted["allowed"]) == (4, 5, True)
    refused = await product.refused_admin(
        "enforceQuota", {"organizationId": "acme", "resource": "file_upload", "amount": 2}
    )
    assert isinstance(refused, QuotaExceeded)
    shown = (await product.admin("getQuotaStatus", {"organizationId": "acme"}))["data"]
    assert [(row["resource"], row["period"], row["current"], row["remaining"], row["source"]) for row in shown] == [
        ("file_upload", "monthly", 4, 1, "organization"),
        ("vector_query", "lifetime", 0, 9, "organization"),
    ]
    assert "resetDate" not in shown[1]


async def test_what_other_services_count_is_checked_and_counted_at_once_and_once_a_key(product: Product) -> None:
    token = product.token("u1", "free")
    await product.admin("setQuota", {"userId": "u1", **UPLOADS, "limit": 50})
    use = {"resource": "file_upload"}
    outcomes = await asyncio.gather(
        *(product.call(token, "enforceQuota", use) for _ in range(80)), return_exceptions=True
    )
    refused = [one for one in outcomes if isinstance(one, Fault)]
    assert (len(refused), {type(one) for one in refused}) == (30, {QuotaExceeded})
    await product.admin("setQuota", {"userId": "u1", **UPLOADS, "limit": 60})
    for _ in range(2):
        said = await product.call(token, "enforceQuota", {**use, "amount": 2, "idempotencyKey": "k1"})
        assert said["current"] == 52
    assert isinstance(
        await product.refused(token, "enforceQuota", {**use, "amount": 3, "idempotencyKey": "k1"}),
        IdempotencyConflict,
    )
    free = await product.call(token, "enforceQuota", {"resource": "tool_call"})
    assert free == {"allowed": True, "current": 0, "percentage": 0, "hasQuota": False, "isHardLimit": False}


async def test_what_is_counted_for_one_period_leaves_the_quotas_of_the_others_alone(product: Product) -> None:
    token = product.token("u1", "free")
    for period in ("daily", "total"):
        await product.admin("setQuota", {"userId": "u1", "resource": "message", "period": period, "limit": 1})
    use = {"resource": "message", "period": "total"}
    assert (await product.call(token, "enforceQuota", use))["period"] == "lifetime"
    assert isinstance(await product.refused(token, "enforceQuota", use), QuotaExceeded)
    day = await product.call(token, "checkQuota", {"resource": "message", "period": "daily"})
    assert (day["allowed"], day["current"]) == (True, 0)
    assert isinstance(await product.refused(token, "enforceQuota", {"resource": "message"}), QuotaExceeded)
    assert await product.call(token, "checkQuota", {"resource": "message", "period": "daily"}) == day


async def test_checking_counts_nothing_and_names_the_quota_that_is_met_first(product: Product) -> None:
    token = product.token("u1", "free")
    await product.admin("setQuota", {"userId": "u1", **UPLOADS, "limit": 10, "notificationThreshold": 70})
    await product.admin("setQuota", {"userId": "u1", "resource": "file_upload", "period": "hourly", "limit": 3})
    for amount, allowed in ((3, True), (4, False), (11, False)):
        said = await product.call(token, "checkQuota", {"resource": "file_upload", "amount": amount})
        assert (said["allowed"], said["current"], said["period"]) == (allowed, 0, "hourly")
    month = await product.call(token, "checkQuota", {"resource": "file_upload", "period": "monthly", "amount": 4})
    assert (month["allowed"], month["limit"], month["notificationThreshold"]) == (True, 10, 70)


async def test_setting_a_quota_again_keeps_what_it_does_not_name(product: Product) -> None:
    first = await product.admin(
        "setQuota", {"userId": "u1", **UPLOADS, "limit": 10, "isHardLimit": False, "thresholds": [90, 50]}
    )
    assert first == {
        "success": True, "subject": "user:u1", **UPLOADS, "limit": 10, "isHardLimit": False, "thresholds": [50, 90],
        "version": 1,
    }  # fmt: skip
    again = await product.admin("setQuota", {"userId": "u1", **UPLOADS, "limit": 20})
    assert (again["limit"], again["isHardLimit"], again["thresholds"], again["version"]) == (20, False, [50, 90], 2)
    listed = (await product.admin("listQuotas", {"userId": "u1"}))["data"]
    assert [row["limit"] for row in listed if row["source"] == "user"] == [20]
    assert [row["resource"] for row in listed if row["source"] == "tier"] == ["tokens", "requests"]
    url = product.settings.storage.url.get_secret_value()
    async with open_reader(url, clock_us=lambda: 0) as reader:
        rows = await reader.kept("default", "audit")
    assert [(row.key, row.actor, orjson.loads(row.body)["action"]) for row in rows] == [
        ("user:u1", "boss", "setQuota")
    ] * 2


@pytest.mark.parametrize(
    ("method", "params", "fault"),
    [
        ("setQuota", {"userId": "u1", **UPLOADS}, InvalidParams),
        ("setQuota", {"userId": "u1", **UPLOADS, "limit": -1}, InvalidParams),
        ("setQuota", {"userId": "u1", **UPLOADS, "limit": 1, "thresholds": [101]}, InvalidParams),
        ("setQuota", {"userId": "u1", "resource": "Message", "period": "daily", "limit": 1}, InvalidParams),
        ("setQuota", {"userId": "u1", "resource": "message", "period": "weekly", "limit": 1}, InvalidParams),
        ("setQuota", {**UPLOADS, "limit": 1}, InvalidParams),
        ("deleteQuota", {"userId": "u1", **UPLOADS}, NotFound),
        ("enforceQuota", {"userId": "u1", "resource": "tokens"}, InvalidParams),
        ("enforceQuota", {"userId": "u1", "resource": "cost"}, InvalidParams),
        ("enforceQuota", {"userId": "u1", "resource": "own_requests"}, InvalidParams),
    ],
)
async def test_what_cannot_be_set_is_refused(
    product: Product, method: str, params: Any, fault: type[Exception]
) -> None:
    assert isinstance(await product.refused_admin(method, params), fault)


@pytest.mark.parametrize("method", ["getQuotaStatus", "listQuotas", "checkQuota", "enforceQuota"])
async def test_nobody_reaches_the_quotas_of_others(product: Product, method: str) -> None:
    more = {"resource": "file_upload"} if "Quota" in method and method.startswith(("check", "enforce")) else {}
    for whose in ({"userId": "u2"}, {"organizationId": "acme"}):
        assert isinstance(await product.refused(product.token("u1"), method, {**whose, **more}), Forbidden)


async def test_where_nothing_limits_the_month_what_was_used_is_still_shown(start: Start) -> None:
    tiers = {"open": {"policy": "allowance", "monthly_token_quota": "unlimited"}}
    async with start(tiers=tiers) as product:
        token = product.token("ann", "open")
        await product.call(token, "executeAIRequest", {"content": "hello", "options": {"maxTokens": 20}})
        status = await product.call(token, "checkQuotaStatus")
        assert status["quotaUsed"] > 0
        assert "quotaLimit" not in status
        assert (await product.call(token, "getUsageStats"))["quotaUsed"] == status["quotaUsed"]
