"""Results in the very members that the documents name, with their figures where those are right."""

from typing import Any

from methods.errors import UnknownModel, UnknownProvider
from tests.methods.money.conftest import Product, Start

OPENAI = {
    "kind": "openai",
    "base_url": "http://127.0.0.1:9/v1",
    "api_key": "k",
    "models": ["own", "gpt-4o", "nameless-1"],
}
SIMULATOR = {"kind": "simulator", "models": ["simulator"]}

ENTRIES = {
    "getTopupHistory": "topups",
    "getPurchaseHistory": "purchases",
    "getTransactions": "data",
    "getUsageHistory": "history",
}
MEMBERS = {
    "getTopupHistory": "id asset kind source amount remaining amountExact remainingExact priority createdAt",
    "getPurchaseHistory": "id type asset purchased granted platformFee remaining refunded amountPaid amountPaidExact currency "
    "purchasedAt",
    "getTransactions": "id transactionType amount balanceBefore balanceAfter description reference createdAt",
    "getUsageHistory": "id requestId timestamp method provider model outcome inputTokens outputTokens totalTokens "
    "cachedInputTokens reasoningTokens cost costExact platformFee totalCost charged chargedAsset priceVersion isEstimated "
    "isPartial latencyMs",
}
"""Members of one entry; what has nothing to say is absent."""


def unit(dollars: str) -> dict[str, Any]:
    return {"costPerUnit": dollars, "unitSize": 1_000_000, "currency": "USD"}


async def test_s4_24_450_of_1980_credits_used_are_22_73_percent(start: Start) -> None:
    async with start() as product:
        await product.admin("createBurnTable", {"name": "t", "rules": {"default": {"flat_rate": 450}}})
        await product.admin("grantCredits", {"userId": "u1", "priceUsd": "99", "idempotencyKey": "i1"})
        await product.call(product.token("u1", "credits"), "executeAIRequest", {"content": "Hello"})
        balance = await product.call(product.token("u1", "credits"), "getCreditBalance")
    shown = {key: balance[key] for key in ("totalCredits", "usedCredits", "remainingCredits", "tier", "percentUsed")}
    assert shown == {
        "totalCredits": 1980.0,
        "usedCredits": 450.0,
        "remainingCredits": 1530.0,
        "tier": "credits",
        "percentUsed": "22.73%",
    }
    assert balance["monthlyRequestsUsed"] == 1


async def test_s2_39_every_price_is_shown_with_its_unit_and_what_has_none_is_left_out(start: Start) -> None:
    prices = {"openai/own": {"input": "2.5", "output": "10", "cache_read": "0.25", "audio_input": "40"}}
    more = {"providers": {"openai": OPENAI, "simulator": SIMULATOR}, "routing": {"default_provider": "openai"}}
    async with start(prices=prices, **more) as product:
        everyone = ""
        found = await product.call(everyone, "getProviderPricing")
        assert [(each["provider"], each["model"]) for each in found["data"]] == [
            ("openai", "own"),
            ("openai", "gpt-4o"),
            ("simulator", "simulator"),
        ]
        assert (found["total"], found["limit"], found["offset"]) == (3, 100, 0)
        assert found["data"][0] == {
            "provider": "openai",
            "model": "own",
            "pricing": {
                "input_token": unit("2.5"),
                "output_token": unit("10"),
                "cache_read_token": unit("0.25"),
                "audio_input_token": unit("40"),
            },
            "priceVersion": "configuration",
        }
        page = await product.call(everyone, "getProviderPricing", {"limit": 1, "offset": 1})
        assert ([each["model"] for each in page["data"]], page["total"]) == (["gpt-4o"], 3)
        assert isinstance(
            await product.refused(everyone, "getProviderPricing", {"provider": "nobody"}), UnknownProvider
        )
        assert isinstance(await product.refused(everyone, "getProviderPricing", {"model": "nobody"}), UnknownModel)


async def test_s2_25_a_preview_names_credits_dollars_and_margin(start: Start) -> None:
    async with start({"credit_margin_percent": 60}) as product:
        usage = {"provider": "simulator", "model": "simulator", "inputTokens": 500_000, "outputTokens": 250_000}
        found = await product.call(product.token("u1", "credits"), "calculateCost", usage)
    assert (found["credits"], found["usdCost"], found["marginPercent"]) == (160.0, 1.0, 37.5)


async def test_histories_have_the_members_that_they_promise(product: Product) -> None:
    bought = {"userId": "u1", "tokens": 100_000, "kind": "purchase", "idempotencyKey": "o1"}
    await product.admin("grantTokens", bought)
    token = product.token("u1")
    await product.call(token, "executeAIRequest", {"content": "Hello"})
    shown = {name: set((await product.call(token, name))[member][0]) for name, member in ENTRIES.items()}
    assert shown == {name: set(members.split()) for name, members in MEMBERS.items()}
