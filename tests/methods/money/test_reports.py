"""Reports over real calls: every figure equals a recount of the rows, and every shape is the documents'."""

import csv
import io
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from methods.progress import Progress
from monetization.calls import Call, Credential
from storage.records.commands import RecordUsage
from tests.methods.money.conftest import Product, Start

ASK = {"content": "What is a toll?", "options": {"maxTokens": 40}}
CHARGING = {"prices": {"simulator/simulator": {"input": "10", "output": "30"}}}
Used = Callable[[str, int], Awaitable[None]]


async def used(product: Product, user: str, count: int, **token: Any) -> list[Any]:
    return [
        await product.call(product.token(user, "allowance", **token), "executeAIRequest", ASK) for _ in range(count)
    ]


async def events(product: Product, token: str, **params: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await product.call(
            token, "listUsageEvents", {"limit": 2, "cursor": cursor, **params} if cursor else {"limit": 2, **params}
        )
        found += page["events"]
        cursor = page.get("nextCursor")
        if cursor is None:
            return found


async def test_stats_are_the_documents_and_equal_the_rows(start: Start) -> None:
    async with start(**CHARGING) as product:
        await used(product, "ann", 3)
        await used(product, "bob", 1)
        token = product.token("ann", "allowance")
        rows = await events(product, token)
        assert len(rows) == 3
        stats = await product.call(token, "getUsageStats", {"period": "current_month"})
        tokens = sum(row["totalTokens"] for row in rows)
        assert stats["totalTokens"] == stats["quotaUsed"] == tokens > 0
        assert stats["quotaLimit"] == 1_000_000
        assert stats["requestCount"] == 3
        assert stats["totalCost"] == pytest.approx(sum(row["cost"] for row in rows), abs=1e-12)
        assert stats["totalPlatformFees"] == pytest.approx(stats["totalCost"] / 5, abs=1e-8)
        (share,) = stats["topProviders"]
        assert (share["provider"], share["usage"], share["tokens"]) == ("simulator", 100.0, tokens)
