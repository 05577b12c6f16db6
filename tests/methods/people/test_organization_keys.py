"""Keys that belong to an organization and to no user: its pool pays, its admins manage them, and they end with it."""

import asyncio
from typing import Any

import pytest

from methods.errors import Forbidden, InvalidParams
from monetization.errors import NotEntitled, PaymentRequired, QuotaExceeded, RateLimited, Unauthenticated
from storage.errors import Fault, NotFound
from storage.store import open_reader
from tests.methods.people.conftest import Product, Town
from tests.methods.people.test_organizations import ASK, acme, own, pool

HERE = {"organizationId": "acme"}


async def issued(product: Product, credential: str | None = None, **params: Any) -> dict[str, Any]:
    """A key of the organization alone, made by its admin unless said otherwise."""
    shown: dict[str, Any] = await product.call(credential or product.token("ada"), "createApiKey", {**HERE, **params})
    return shown


async def test_the_pool_pays_for_a_key_that_has_no_user_and_its_row_is_the_organizations(town: Town) -> None:
    async with town() as product:
        await acme(product, tokens=100_000, ada="admin")
        key = await issued(product)
        assert (key.get("userId"), key["organizationId"], key["status"]) == (None, "acme", "active")
        answer = await product.call(key["apiKey"], "executeAIRequest", ASK)
        charged = 100_000 - await pool(product)
        assert answer["tokenUsage"]["tokensCharged"] == charged > 0
        assert answer["tokenUsage"]["remainingBalance"] == 100_000 - charged
        assert await own(product, "ada") == 0
        stats = await product.call(product.token("ada"), "getUsageStats", HERE)
        assert stats["requestCount"] == 1
        async with open_reader(product.settings.storage.url.get_secret_value(), clock_us=lambda: 2**50) as reader:
            rows = (await reader.usage("default", None, limit=10)).rows
        assert [(row.user_id, row.organization_id, row.key_id, row.caller_kind) for row in rows] == [
            (None, "acme", key["keyId"], "subscription")
        ]


async def test_without_money_in_the_pool_nobody_else_pays(product: Product) -> None:
    await acme(product, pays="member", ada="admin")
    await product.admin("grantTokens", {"userId": "ada", "tokens": 100_000, "kind": "promotion"})
    key = await issued(product)
    assert isinstance(await product.refused(key["apiKey"], "executeAIRequest", ASK), PaymentRequired)
    assert await own(product, "ada") == 100_000


async def test_calls_at_once_never_draw_more_than_the_pool_holds(town: Town) -> None:
    async with town() as product:
        await acme(product, tokens=1_000, ada="admin")
        key = (await issued(product))["apiKey"]
        first = await product.call(key, "executeAIRequest", ASK)
        cost = int(first["tokenUsage"]["tokensCharged"])

        async def ask() -> int:
            try:
                return int((await product.call(key, "executeAIRequest", ASK))["tokenUsage"]["tokensCharged"])
            except (PaymentRequired, RateLimited):
                return 0

        charged = await asyncio.gather(*[ask() for _ in range(30)])
        assert sum(charged) + cost == 1_000 - await pool(product)
        assert await pool(product) >= 0


async def test_what_is_set_for_the_organization_holds_for_its_keys(product: Product) -> None:
    await acme(product, tokens=1_000_000, ada="admin")
    key = (await issued(product))["apiKey"]
    await product.admin("updateUserSubscription", {**HERE, "tier": "allowance"})
    shown = await product.call(key, "getRateLimitStatus")
    assert (shown["tier"], shown["subject"]) == ("allowance", "organization")
    await product.admin("updateUserSubscription", {**HERE, "tier": "virtual_tokens"})
    await product.admin("setLimits", {**HERE, "rpm": 1})
    await product.call(key, "executeAIRequest", ASK)
    assert isinstance(await product.refused(key, "executeAIRequest", ASK), RateLimited)
    await product.admin("setLimits", {**HERE})
    await product.admin("setQuota", {**HERE, "resource": "requests", "period": "monthly", "limit": 1})
    assert isinstance(await product.refused(key, "executeAIRequest", ASK), QuotaExceeded)


async def test_past_the_organizations_allowance_no_other_one_is_used(product: Product) -> None:
    await acme(product, ada="admin")
    key = (await issued(product))["apiKey"]
    await product.admin("updateUserSubscription", {**HERE, "tier": "allowance"})
    answer = await product.call(key, "executeAIRequest", ASK)
    assert answer["quotaRemaining"] == 1_000_000 - answer["usage"]["totalTokens"]
    await product.admin("setLimits", {**HERE, "monthlyTokens": answer["usage"]["totalTokens"] + 1})
    assert isinstance(await product.refused(key, "executeAIRequest", ASK), QuotaExceeded)


async def test_a_keys_own_terms_hold_too(product: Product) -> None:
    await acme(product, tokens=1_000_000, ada="admin")
    narrow = await issued(product, models=["gpt-*"])
    assert isinstance(await product.refused(narrow["apiKey"], "executeAIRequest", ASK), NotEntitled)
    once = await issued(product, budgets=[{"resource": "requests", "limit": 1, "period": "daily"}])
    await product.call(once["apiKey"], "executeAIRequest", ASK)
    assert isinstance(await product.refused(once["apiKey"], "executeAIRequest", ASK), QuotaExceeded)
    silent = await issued(product, scopes=["account:read"])
    assert isinstance(await product.refused(silent["apiKey"], "executeAIRequest", ASK), Forbidden)
    assert isinstance(
        await product.refused(product.token("ada"), "createApiKey", {**HERE, "scopes": ["events:write"]}), InvalidParams
    )


async def test_its_admins_list_rotate_and_revoke_it_and_nobody_else_learns_of_it(product: Product) -> None:
    await acme(product, tokens=100_000, ada="admin", bob="member", eve="admin")
    await product.admin("createOrganization", {"organizationId": "other", "name": "Other"})
    await product.admin("addMember", {"organizationId": "other", "userId": "mallory", "role": "admin"})
    key = await issued(product)
    here = {"keyId": key["keyId"]}
    for user in ("bob", "mallory", "nobody"):
        token = product.token(user)
        for method in ("createApiKey", "listApiKeys"):
            foreign = await product.refused(token, method, HERE)
            missing = await product.refused(token, method, {"organizationId": "missing"})
            assert (type(foreign), foreign.slug) == (Forbidden, "scope_required")
            assert str(foreign) == str(missing)
        for method in ("rotateApiKey", "revokeApiKey"):
            assert isinstance(await product.refused(token, method, here), NotFound)
    assert [one["keyId"] for one in (await product.call(product.token("eve"), "listApiKeys", HERE))["keys"]] == [
        key["keyId"]
    ]
    assert (await product.call(product.token("ada"), "listApiKeys"))["keys"] == []
    assert [one["keyId"] for one in (await product.admin("listApiKeys", HERE))["keys"]] == [key["keyId"]]
    newer = await product.call(product.token("eve"), "rotateApiKey", {**here, "overlapSeconds": 0})
    assert isinstance(await product.refused(key["apiKey"], "executeAIRequest", ASK), Unauthenticated)
    await product.call(newer["apiKey"], "executeAIRequest", ASK)
    await product.call(product.token("ada"), "revokeApiKey", here)
    assert (await product.refused(newer["apiKey"], "executeAIRequest", ASK)).slug == "key_revoked"
    audit = [one["action"] for one in (await product.admin("listAuditEvents", {"subject": "org:acme"}))["events"]]
    assert {"createApiKey", "rotateApiKey", "revokeApiKey"} <= set(audit)


async def test_a_key_may_look_and_call_and_change_itself_and_nothing_of_the_organization_or_its_users(
    product: Product,
) -> None:
    await acme(product, tokens=100_000, ada="admin")
    first, second = await issued(product), await issued(product)
    key = first["apiKey"]
    assert (await product.call(key, "getTokenBalance", HERE))["availableTokens"] == 100_000
    assert (await product.call(key, "getOrganization", HERE))["organizationId"] == "acme"
    refused: list[tuple[str, dict[str, Any], type[Fault]]] = [
        ("createApiKey", HERE, Forbidden),
        ("createApiKey", {}, Forbidden),
        ("addMember", {**HERE, "userId": "x"}, Forbidden),
        ("updateOrganization", {**HERE, "name": "Mine"}, Forbidden),
        ("joinOrganization", HERE, Forbidden),
        ("getTransactions", {}, InvalidParams),
        ("getTokenBalance", {"userId": "ada"}, Forbidden),
        ("getTokenBalance", {"organizationId": "other"}, Forbidden),
        ("storeUserKey", {"provider": "simulator", "apiKey": "a-provider-key-0123456789"}, InvalidParams),
        ("revokeApiKey", {"keyId": second["keyId"]}, NotFound),
        ("listApiKeys", HERE, Forbidden),
    ]
    for method, params, kind in refused:
        assert type(await product.refused(key, method, params)) is kind, method
    newer = await product.call(key, "rotateApiKey", {"keyId": first["keyId"], "overlapSeconds": 0})
    assert (await product.call(newer["apiKey"], "revokeApiKey", {"keyId": first["keyId"]}))["status"] == "revoked"


async def test_a_key_ends_with_its_organization_and_does_not_open_one_that_has_its_name_later(product: Product) -> None:
    await acme(product, ada="admin")
    key = await issued(product)
    await product.admin("deleteOrganization", HERE)
    assert isinstance(await product.refused(key["apiKey"], "executeAIRequest", ASK), Unauthenticated)
    await acme(product, tokens=1_000, ada="admin")
    assert (await product.refused(key["apiKey"], "executeAIRequest", ASK)).slug == "unknown_key"
    assert (await product.call(product.token("ada"), "listApiKeys", HERE))["keys"] == []


async def test_a_users_key_and_an_organizations_are_named_apart(product: Product) -> None:
    await acme(product, ada="admin")
    both = await product.refused(product.token("ada"), "createApiKey", {**HERE, "userId": "ada"})
    assert isinstance(both, InvalidParams)
    assert isinstance(await product.refused_admin("createApiKey", {"organizationId": "nowhere"}), NotFound)
    made = await product.admin("createApiKey", {**HERE, "idempotencyKey": "k-1"})
    again = await product.admin("createApiKey", {**HERE, "idempotencyKey": "k-1"})
    assert (again["keyId"], "apiKey" in again) == (made["keyId"], False)


async def test_repeated_calls_of_a_key_are_answered_once_and_no_user_meets_its_answers(product: Product) -> None:
    await acme(product, tokens=100_000, ada="admin")
    key = (await issued(product))["apiKey"]
    first = await product.call(key, "executeAIRequest", ASK, key="same")
    left = await pool(product)
    assert (await product.call(key, "executeAIRequest", ASK, key="same"))["content"] == first["content"]
    assert await pool(product) == left
    with pytest.raises(PaymentRequired):
        await product.call(product.token("org:acme"), "executeAIRequest", ASK, key="same")


@pytest.mark.parametrize("own_key", ["own-key-0123456789"])
async def test_with_a_provider_key_of_its_own_the_pool_is_not_touched(product: Product, own_key: str) -> None:
    await acme(product, tokens=100_000, ada="admin")
    key = (await issued(product))["apiKey"]
    await product.call(key, "executeAIRequest", {**ASK, "apiKey": own_key})
    assert await pool(product) == 100_000
