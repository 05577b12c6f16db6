"""Checks before a call answer from memory, and whatever this process has just done is in the next answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.postgres import Server, postgres
from tests.methods.money.conftest import Product, Start

__all__ = ["postgres"]  # a fixture

ACTION = {"type": "token_usage", "estimatedInputTokens": 10, "estimatedOutputTokens": 100}
ASK = {"content": "Hello", "options": {"maxTokens": 50}}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'money.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.fresh()


@pytest.fixture
async def forgetting_nothing(start: Start, url: str) -> AsyncIterator[Product]:
    """A product whose checks would show what is a minute old, if its own commits did not tell them."""
    async with start(storage={"url": url, "check_age_seconds_max": 60}) as product:
        yield product


async def test_what_was_granted_spent_and_set_is_in_the_next_check(forgetting_nothing: Product) -> None:
    product = forgetting_nothing
    paid, free = product.token("u1", "virtual_tokens"), product.token("u2", "free")

    async def may(token: str, **more: object) -> Any:
        return await product.call(token, "checkEntitlement", {"action": ACTION, **more})

    async def month() -> Any:
        return await product.call(free, "checkQuotaStatus")

    assert (await may(paid))["code"] == "insufficient_tokens"
    await product.admin("grantTokens", {"userId": "u1", "tokens": 10_000})
    assert (await may(paid))["currentBalance"] == "10000"
    await product.call(paid, "executeAIRequest", ASK)
    left = (await product.call(paid, "getTokenBalance"))["virtualTokenBalance"]
    assert left < 10_000
    assert (await may(paid))["currentBalance"] == str(left)

    assert ((await may(free))["allowed"], (await month())["quotaUsed"]) == (True, 0)
    await product.call(free, "executeAIRequest", ASK)
    used = (await month())["quotaUsed"]
    assert used > 0
    await product.admin("setQuota", {"userId": "u2", "resource": "tokens", "period": "monthly", "limit": used})
    assert ((await may(free))["code"], (await month())["quotaRemaining"]) == ("quota_exceeded", 0)
    await product.admin("updateUserSubscription", {"userId": "u2", "tier": "free", "status": "suspended"})
    assert (await may(free))["code"] == "subscription_suspended"
    await product.admin("updateUserSubscription", {"userId": "u2", "tier": "free", "status": "active"})
    await product.admin("deleteQuota", {"userId": "u2", "resource": "tokens", "period": "monthly"})
    assert (await may(free))["allowed"] is True


async def test_what_is_counted_of_a_feature_is_in_the_next_check(forgetting_nothing: Product) -> None:
    product = forgetting_nothing
    token = product.token("u1", "free")
    limit = {"userId": "u1", "featureId": "export", "limitType": "HARD", "limitValue": 1, "period": "DAILY"}
    await product.admin("setEntitlement", limit)
    about = {"userId": "u1", "resource": "export"}

    asked = {"featureId": "export"}
    assert (await product.call(token, "checkEntitlement", asked))["allowed"] is True
    assert (await product.admin("checkQuota", about))["allowed"] is True
    await product.admin("enforceQuota", about)
    refused = await product.call(token, "checkEntitlement", asked)
    assert (refused["allowed"], refused["currentUsage"]) == (False, 1)
    assert (await product.admin("checkQuota", about))["allowed"] is False
