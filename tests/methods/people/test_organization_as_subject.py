"""A key of an organization alone at every method: what users are told of themselves it is told of its organization."""

from typing import Any

import orjson
import pytest

from methods.all_methods import METHODS
from methods.errors import Forbidden, InvalidParams, code_of
from storage.errors import Fault
from tests.methods.people.conftest import Product
from tests.methods.people.test_organization_keys import HERE, issued
from tests.methods.people.test_organizations import ASK, acme

ANSWERED = {
    "checkEntitlement", "checkRequestEligibility", "getUserStatus", "getCurrentTier", "getRateLimitStatus", "checkQuotaStatus",
    "getQuotaStatus", "listQuotas", "checkQuota", "listEntitlements", "getTokenBalance", "getCreditBalance", "getUsageHistory",
    "getUsageStats", "getUserUsage", "getUsageAnalytics", "listUsageEvents", "getOrganization",
}  # fmt: skip
"""What a caller is told of themselves."""
OF_USERS = {
    "getTopupHistory", "getPurchaseHistory", "getTransactions", "listApiKeys", "listNotifications", "getUnreadCount",
    "storeUserKey", "getUserKey", "getUserProviders", "rotateUserKey", "deleteUserKey", "validateUserKey",
}  # fmt: skip
"""What only ever is a user's: top-ups, purchases and movements, kept provider keys, notices and the keys of a user."""


async def outcomes(product: Product, key: str) -> dict[str, Fault | Any]:
    """What comes of each method's example, without the names of its owners."""
    found: dict[str, Fault | Any] = {}
    for method in METHODS:
        if method.name in {"rotateApiKey", "revokeApiKey"}:
            continue  # they would end what asks
        params = orjson.loads(orjson.dumps(method.examples[0].params)) if method.examples else {}
        if isinstance(params, dict):
            params = {
                name: value for name, value in params.items() if name not in {"userId", "organizationId", "email"}
            }
        try:
            found[method.name] = await product.call(key, method.name, params)
        except Fault as refused:
            found[method.name] = refused
    return found


async def test_every_method_answers_or_says_what_to_send_instead(product: Product) -> None:
    await acme(product, tokens=100_000, ada="admin")
    found = await outcomes(product, (await issued(product))["apiKey"])
    names = {method.name for method in METHODS}
    assert names >= ANSWERED | OF_USERS, sorted((ANSWERED | OF_USERS) - names)
    refused = {name: fault for name, fault in found.items() if isinstance(fault, Fault)}
    assert {name: str(refused[name]) for name in ANSWERED & set(refused)} == {}
    broken = {name: str(fault) for name, fault in refused.items() if code_of(fault) in (-32603, -32600, -32601)}
    assert broken == {}
    for name in OF_USERS:
        assert isinstance(refused.get(name), InvalidParams | Forbidden), (name, found[name])
        assert "send the credential of a user" in str(refused[name]), (name, str(refused[name]))
    assert not [fault for fault in refused.values() if "name the user as userId" in str(fault)]


async def test_it_is_told_of_its_organizations_tier_quotas_and_balance(product: Product) -> None:
    await acme(product, tokens=1_000, ada="admin")
    key = (await issued(product))["apiKey"]
    await product.admin("updateUserSubscription", {**HERE, "tier": "virtual_tokens"})
    await product.admin("setQuota", {**HERE, "resource": "tokens", "period": "monthly", "limit": 5_000})
    status = await product.call(key, "getUserStatus")
    assert ("userId" in status, status["organizationId"], status["subscriptionTier"]) == (
        False,
        "acme",
        "virtual_tokens",
    )
    assert (await product.call(key, "getCurrentTier"))["data"]["tier"] == "virtual_tokens"
    (quota,) = (await product.call(key, "listQuotas"))["data"]
    assert (quota["subject"], quota["limit"], quota["source"]) == ("org:acme", 5_000, "organization")
    before = await product.call(key, "getTokenBalance")
    assert (before["availableTokens"], before["organizationId"]) == (1_000, "acme")
    assert (await product.call(key, "checkRequestEligibility"))["tokenBalance"] == 1_000
    assert (await product.call(key, "checkEntitlement"))["currentBalance"] == "1000"
    used = (await product.call(key, "executeAIRequest", ASK))["usage"]["totalTokens"]
    standing = await product.call(key, "checkQuotaStatus")
    assert (standing["quotaUsed"], standing["quotaLimit"], standing["quotaRemaining"]) == (used, 5_000, 5_000 - used)
    short = await product.call(key, "checkEntitlement", {"action": {"estimatedOutputTokens": 2_000}})
    assert (short["allowed"], short["code"]) == (False, "insufficient_tokens")


async def test_it_is_told_what_such_keys_used_and_not_what_members_did(product: Product) -> None:
    await acme(product, tokens=100_000, ada="admin")
    key = await issued(product)
    await product.call(key["apiKey"], "executeAIRequest", ASK)
    await product.call(product.token("ada"), "executeAIRequest", ASK)
    (entry,) = (await product.call(key["apiKey"], "getUsageHistory"))["history"]
    (event,) = (await product.call(key["apiKey"], "listUsageEvents"))["events"]
    assert entry["requestId"] == event["requestId"]
    stats = await product.call(key["apiKey"], "getUsageStats")
    assert stats["requestCount"] == 1
    assert stats["totalTokens"] == entry["totalTokens"]
    both = await product.call(product.token("ada"), "getUsageStats", HERE)
    assert both["requestCount"] == 2


@pytest.mark.parametrize(
    "method", ["getUserStatus", "getTokenBalance", "getQuotaStatus", "getUsageStats", "getUsageHistory"]
)
async def test_a_user_who_is_named_stays_out_of_its_reach(product: Product, method: str) -> None:
    await acme(product, ada="admin")
    refused = await product.refused((await issued(product))["apiKey"], method, {"userId": "ada"})
    assert isinstance(refused, Forbidden)
