"""Subscriptions and own limits that an admin sets: they win over what credentials claim, at once, and leave their trace."""

import asyncio
from typing import Any

import orjson
import pytest

from methods.errors import Forbidden, InvalidParams
from monetization.errors import PaymentRequired, QuotaExceeded, RateLimited
from storage.errors import NotFound
from storage.store import open_reader
from tests.methods.money.conftest import Product

ASK = {"content": "Hello", "options": {"maxTokens": 50}}


async def test_a_kept_subscription_wins_over_the_claim_of_the_token(product: Product) -> None:
    token = product.token("u1", "free")
    before = await product.call(token, "executeAIRequest", ASK)
    said = await product.admin("updateUserSubscription", {"userId": "u1", "tier": "pro", "reason": "bought"})
    assert (said["subscriptionTier"], said["status"], said["version"]) == ("professional", "active", 1)
    after = await product.call(token, "executeAIRequest", ASK)
    assert before["quotaRemaining"] < 50_000
    assert 4_000_000 < after["quotaRemaining"] < 5_000_000
    other = await product.call(product.token("u2", "free"), "executeAIRequest", ASK)
    assert other["quotaRemaining"] < 50_000


@pytest.mark.parametrize("status", ["suspended", "expired"])
async def test_nobody_is_served_on_a_subscription_that_nobody_pays(product: Product, status: str) -> None:
    token = product.token("u1", "free")
    await product.admin("updateUserSubscription", {"userId": "u1", "tier": "starter"})
    await product.call(token, "executeAIRequest", ASK)
    await product.admin("updateUserSubscription", {"userId": "u1", "status": status})
    refused = await product.refused(token, "executeAIRequest", ASK)
    assert isinstance(refused, PaymentRequired)
    assert refused.data["reason"] == f"subscription_{status}"
    await product.call(token, "getTokenBalance")  # looking stays possible
    await product.admin("updateUserSubscription", {"userId": "u1", "status": "active"})
    await product.call(token, "executeAIRequest", ASK)


async def test_a_cancelled_subscription_leaves_the_caller_to_what_the_token_says(product: Product) -> None:
    await product.admin("updateUserSubscription", {"userId": "u1", "tier": "enterprise"})
    await product.admin("updateUserSubscription", {"userId": "u1", "status": "cancelled"})
    said = await product.call(product.token("u1", "free"), "executeAIRequest", ASK)
    assert said["quotaRemaining"] < 50_000


async def test_a_monthly_limit_of_the_subscription_binds_in_the_place_of_the_tiers(product: Product) -> None:
    await product.admin("updateUserSubscription", {"userId": "u1", "tier": "starter", "monthlyTokenLimit": 60})
    token = product.token("u1", "enterprise")
    first = await product.call(token, "executeAIRequest", {"content": "Hi", "options": {"maxTokens": 20}})
    assert 0 <= first["quotaRemaining"] < 60
    refused = await product.refused(token, "executeAIRequest", ASK)
    assert isinstance(refused, QuotaExceeded)
    assert refused.data["quotaLimit"] == 60


async def test_own_limits_stand_in_the_place_of_the_tiers_until_they_are_taken_back(product: Product) -> None:
    token = product.token("u1", "enterprise")
    await product.admin("setLimits", {"userId": "u1", "rpm": 1})
    await product.call(token, "executeAIRequest", ASK)
    refused = await product.refused(token, "executeAIRequest", ASK)
    assert isinstance(refused, RateLimited)
    assert (refused.data["limit"], refused.data["resource"]) == (1, "requests")
    assert await product.admin("setLimits", {"userId": "u1"}) == {"success": True, "userId": "u1"}
    await product.call(token, "executeAIRequest", ASK)


async def test_every_act_leaves_an_audit_row_with_who_what_and_why(product: Product) -> None:
    await product.admin("updateUserSubscription", {"userId": "u1", "tier": "pro", "reason": "bought"})
    await product.admin("setLimits", {"organizationId": "acme", "rpm": 5})
    url = product.settings.storage.url.get_secret_value()
    async with open_reader(url, clock_us=lambda: 0) as reader:
        rows = await reader.kept("default", "audit")
    told = [(row.key, row.actor, row.reason, orjson.loads(row.body)["action"]) for row in rows]
    assert told == [
        ("user:u1", "boss", "bought", "updateUserSubscription"),
        ("org:acme", "boss", "", "setLimits"),
    ]


@pytest.mark.parametrize(
    ("method", "params", "fault"),
    [
        ("updateUserSubscription", {"userId": "u1"}, InvalidParams),
        ("updateUserSubscription", {"tier": "pro"}, InvalidParams),
        ("updateUserSubscription", {"userId": "u1", "organizationId": "o", "tier": "pro"}, InvalidParams),
        ("updateUserSubscription", {"userId": "u1", "tier": "no such"}, NotFound),
        ("updateUserSubscription", {"userId": "u1", "tier": "pro", "status": "great"}, InvalidParams),
        ("setLimits", {"userId": "u1", "rpm": -1}, InvalidParams),
        ("setLimits", {"userId": "u1", "rpm": True}, InvalidParams),
    ],
)
async def test_what_cannot_be_set_is_refused(
    product: Product, method: str, params: Any, fault: type[Exception]
) -> None:
    assert isinstance(await product.refused_admin(method, params), fault)


@pytest.mark.parametrize("method", ["updateUserSubscription", "setLimits"])
async def test_nobody_raises_themselves(product: Product, method: str) -> None:
    refused = await product.refused(product.token("u1"), method, {"userId": "u1", "tier": "enterprise", "rpm": 10**9})
    assert isinstance(refused, Forbidden)


async def test_of_changes_at_the_same_time_none_is_lost_unseen(product: Product) -> None:
    await product.admin("updateUserSubscription", {"userId": "u1", "tier": "starter"})
    changes = [
        product.admin("updateUserSubscription", {"userId": "u1", "monthlyTokenLimit": 1_000}),
        product.admin("updateUserSubscription", {"userId": "u1", "status": "suspended"}),
    ]
    await asyncio.gather(*changes, return_exceptions=True)
    said = await product.admin("updateUserSubscription", {"userId": "u1"})
    assert said["monthlyTokenLimit"] == 1_000 or said["status"] == "suspended"
