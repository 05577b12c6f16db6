"""Prices and burn tables set while the server runs, and the promise that the preview is what is charged."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from methods.errors import InvalidParams
from monetization.errors import OutOfTime, PaymentRequired, PriceUnknown, QuotaExceeded
from storage.errors import NotFound
from tests.methods.money.conftest import TIERS, Product, Start

RULES = {"simulator": {"input_tokens": 1.5, "output_tokens": 10.0, "per_unit": 1000}}
POLICIES = ("allowance", "virtual_tokens", "credits")
CONTENT = st.text("ab c9é", min_size=1, max_size=200)


def set_to(dollars_in: str, dollars_out: str, **more: object) -> dict[str, object]:
    prices = {"input": dollars_in, "output": dollars_out}
    return {"provider": "simulator", "model": "simulator", "prices": prices, "reason": "spring", **more}


async def fund(product: Product, user: str = "u1") -> None:
    await product.admin("grantTokens", {"userId": user, "tokens": 10_000_000})
    await product.admin("grantCredits", {"userId": user, "amount": 1_000_000})


async def test_a_price_holds_from_now_on_and_old_rows_keep_theirs(product: Product) -> None:
    token = product.token("u1", "allowance")
    first = await product.call(token, "executeAIRequest", {"content": "Hello"})
    old = (await product.call(token, "getUsageHistory"))["history"]
    price = await product.admin("setPrice", set_to("40", "90"))
    second = await product.call(token, "executeAIRequest", {"content": "Hello"})
    rows = (await product.call(token, "getUsageHistory"))["history"]
    assert rows[1:] == old
    assert (rows[1]["priceVersion"], rows[0]["priceVersion"]) == ("simulator-1", price["version"])
    tokens = second["usage"]
    assert Decimal(rows[0]["costExact"]) == (40 * tokens["inputTokens"] + 90 * tokens["outputTokens"]) / Decimal(10**6)
    assert second["usage"]["cost"] > first["usage"]["cost"]
    listed = (await product.admin("listPrices"))["data"]
    assert [{**entry, "isReplay": False} for entry in listed] == [price]
    assert (price["actor"], price["reason"]) == ("boss", "spring")


async def test_a_price_is_never_set_for_the_past(product: Product) -> None:
    refused = await product.refused_admin("setPrice", set_to("1", "1", effectiveFrom="2020-01-01T00:00:00Z"))
    assert isinstance(refused, OutOfTime)
    assert (await product.admin("listPrices"))["data"] == []


async def test_a_price_set_for_later_waits_and_a_newer_one_takes_its_place(product: Product) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    await product.admin("setPrice", set_to("40", "90", effectiveFrom=tomorrow))
    usage = {"model": "simulator", "inputTokens": 1_000_000}
    assert (await product.call(product.token("u1"), "calculateCost", usage))["costExact"] == "1"
    await product.admin("setPrice", set_to("7", "7"))
    assert (await product.call(product.token("u1"), "calculateCost", usage))["costExact"] == "7"
    assert len((await product.admin("listPrices", {"model": "simulator"}))["data"]) == 2
    assert (await product.admin("listPrices", {"model": "gpt-4o"}))["data"] == []


async def test_a_price_of_batches_is_previewed_listed_and_charged_alike(product: Product) -> None:
    token = product.token("u1", "allowance")
    prices = {"input": "4", "output": "8", "batch.input": "1", "batch.output": "2", "batch.cache_read": "0.5"}
    made = await product.admin("setPrice", {"provider": "simulator", "model": "simulator", "prices": prices})
    assert made["prices"] == prices
    usage = {"model": "simulator", "inputTokens": 1_000_000, "outputTokens": 1_000_000, "cachedInputTokens": 500_000}
    costs = {}
    for kind in ("standard", "batch", "flex"):
        preview = await product.call(token, "calculateCost", {**usage, "processing": kind})
        costs[kind] = (preview["costExact"], preview["priceVersion"])
    version = made["version"]
    assert costs == {"standard": ("12", version), "batch": ("2.75", f"{version}/batch"), "flex": ("12", version)}
    refused = await product.refused(token, "calculateCost", {**usage, "processing": "priority"})
    assert isinstance(refused, PriceUnknown)
    assert isinstance(await product.refused(token, "calculateCost", {**usage, "processing": "auto"}), InvalidParams)
    image = {"type": "image", "count": 1, "processing": "batch"}
    assert isinstance(await product.refused(token, "calculateCost", image), InvalidParams)
    (shown,) = (await product.call(token, "getProviderPricing", {"model": "simulator"}))["data"]
    assert shown["processing"] == {
        "batch": {
            "pricing": {
                "input_token": {"costPerUnit": "1", "unitSize": 1_000_000, "currency": "USD"},
                "output_token": {"costPerUnit": "2", "unitSize": 1_000_000, "currency": "USD"},
                "cache_read_token": {"costPerUnit": "0.5", "unitSize": 1_000_000, "currency": "USD"},
            },
            "priceVersion": f"{version}/batch",
        }
    }


@pytest.mark.parametrize("name", ["serviceTier", "service_tier", "processing", "speed"])
async def test_no_call_can_ask_its_provider_for_processing_that_was_not_quoted(product: Product, name: str) -> None:
    token = product.token("u1", "allowance")
    for params in ({"content": "Hi", name: "priority"}, {"content": "Hi", "options": {name: "priority"}}):
        assert isinstance(await product.refused(token, "executeAIRequest", params), InvalidParams)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prices": {"input": "1", "output": "1", "batch.input": "1"}},
        {"prices": {"input": "1", "output": "1", "slow.input": "1", "slow.output": "1"}},
        {"prices": {"input": "1"}},
        {"prices": {"input": "1", "output": "-1"}},
        {"prices": {"input": "1", "output": "1", "nonsense": "1"}},
        {"prices": {"input": "0.0000000001", "output": "1"}},
        {"prices": {"input": 1e300, "output": "1"}},
        {"prices": {"input": "99999999999", "output": "1"}},
        {"provider": "a/b"},
        {"effectiveFrom": "tomorrow"},
    ],
)
async def test_a_price_that_cannot_be_is_refused(product: Product, wrong: dict[str, object]) -> None:
    assert isinstance(await product.refused_admin("setPrice", {**set_to("1", "1"), **wrong}), InvalidParams)


async def test_prices_and_tables_outlive_a_restart(start: Start) -> None:
    async with start() as product:
        await product.admin("setPrice", set_to("40", "90"))
        await product.admin("createBurnTable", {"name": "2026", "rules": RULES})
        usage = {"model": "simulator", "inputTokens": 1000, "outputTokens": 500}
        before = await product.call(product.token("u1", "credits"), "calculateCost", usage)
    async with start() as product:
        assert await product.call(product.token("u1", "credits"), "calculateCost", usage) == before


async def test_r1_a_burn_table_charges_six_and_a_half_credits_in_either_casing(product: Product) -> None:
    usage = {"model": "simulator", "inputTokens": 1000, "outputTokens": 500}
    token = product.token("u1", "credits")
    assert (await product.call(token, "calculateCost", usage))["credits"] == 0.2
    camel = {"simulator": {"inputTokens": 1.5, "outputTokens": 10.0, "perUnit": 1000}}
    for rules in (RULES, camel):
        made = await product.admin("createBurnTable", {"name": "2026", "rules": rules})
        assert made["isInForce"] is True
        assert (await product.call(token, "calculateCost", usage))["credits"] == 6.5


async def test_a_table_goes_through_its_life_and_keeps_its_versions(product: Product) -> None:
    token = product.token("u1", "credits")

    async def credits_now() -> float:
        usage = {"model": "other", "inputTokens": 1000}
        found: float = (await product.call(token, "calculateCost", usage))["credits"]
        return found

    asleep = await product.admin(
        "createBurnTable", {"name": "later", "rules": {"default": {"flat_rate": 3}}, "isActive": False}
    )
    assert (asleep["isActive"], asleep["isInForce"], asleep["version"]) == (False, False, 1)
    assert await credits_now() == 0.1
    awake = await product.admin("activateBurnTable", {"id": asleep["id"], "reason": "spring"})
    assert (awake["isInForce"], awake["version"], awake["reason"]) == (True, 2, "spring")
    assert await credits_now() == 3
    second = await product.admin("createBurnTable", {"name": "newer", "rules": {"default": {"flatRate": 5}}})
    assert await credits_now() == 5
    await product.admin("updateBurnTable", {"id": second["id"], "rules": {"default": {"flat_rate": 6}}})
    assert await credits_now() == 6
    await product.admin("activateBurnTable", {"id": second["id"], "isActive": False})
    assert await credits_now() == 3
    await product.admin("deleteBurnTable", {"id": asleep["id"]})
    assert await credits_now() == 0.1
    assert isinstance(await product.refused_admin("updateBurnTable", {"id": asleep["id"]}), NotFound)
    shown = (await product.admin("listBurnTables"))["data"]
    assert [(table["name"], table["version"], table["isActive"]) for table in shown] == [("newer", 3, False)]
    assert len((await product.admin("listBurnTables", {"includeDeleted": True}))["data"]) == 2


async def test_changes_at_the_same_time_are_all_made_one_after_the_other(product: Product) -> None:
    table = await product.admin("createBurnTable", {"name": "t", "rules": RULES})
    changes = [product.admin("updateBurnTable", {"id": table["id"], "name": f"n{n}"}) for n in range(4)]
    versions = [changed["version"] for changed in await asyncio.gather(*changes)]
    assert sorted(versions) == [2, 3, 4, 5]


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"m": {}},
        {"m": {"input_tokens": -1}},
        {"m": {"input_tokens": "much"}},
        {"m": {"tokens": 1}},
        {"m": {"input_tokens": "1e999999999"}},
        {"m": {"input_tokens": 1e300}},
        {"m": {"input_tokens": 1, "per_unit": 0}},
    ],
)
async def test_rules_that_cannot_be_are_refused(product: Product, rules: dict[str, Any]) -> None:
    assert isinstance(await product.refused_admin("createBurnTable", {"name": "t", "rules": rules}), InvalidParams)
    table = await product.admin("createBurnTable", {"name": "t", "rules": RULES})
    body = {"id": table["id"], "rules": rules}
    assert isinstance(await product.refused_admin("updateBurnTable", body), InvalidParams)


async def agrees(product: Product, tier: str, content: str, tokens_max: int) -> None:
    """One call, and the preview of exactly its usage."""
    token = product.token("u1", tier)
    answer = await product.call(token, "executeAIRequest", {"content": content, "options": {"maxTokens": tokens_max}})
    used = answer["usage"]
    preview = await product.call(
        token,
        "calculateCost",
        {
            "inputTokens": used["inputTokens"],
            "outputTokens": used["outputTokens"],
            "cachedInputTokens": used["cachedInputTokens"],
            "reasoningTokens": used["reasoningTokens"],
        },
    )
    row = (await product.call(token, "getUsageHistory", {"limit": 1}))["history"][0]
    assert preview["costExact"] == row["costExact"]
    assert (preview["cost"], preview["platformFee"]) == (used["cost"], used["platformFee"])
    assert preview["priceVersion"] == row["priceVersion"]
    match tier:
        case "virtual_tokens":
            assert answer["tokenUsage"]["tokensCharged"] == preview["tokensCharged"] == int(row["charged"])
        case "credits":
            assert Decimal(row.get("charged", "0")) == Decimal(str(preview["credits"])).quantize(Decimal("1e-9"))
        case _:
            assert "charged" not in row


@pytest.mark.parametrize("tier", POLICIES)
@pytest.mark.parametrize(
    "charging",
    [
        {},
        {"credit_margin_percent": "62.5", "platform_fee_min_usd": "0.001", "rounding": "ceil"},
        {"rounding": "floor_carry", "platform_fee_percent": "12.5", "platform_fee_max_usd": "0.00001"},
    ],
)
async def test_preview_and_charge_agree_to_the_unit(start: Start, tier: str, charging: dict[str, object]) -> None:
    async with start(charging) as product:
        await fund(product)

        async def all_of(contents: list[tuple[str, int]], dollars: tuple[int, int], *, burns: bool) -> None:
            await product.admin("setPrice", set_to(f"{dollars[0]}.000000007", f"{dollars[1]}.33"))
            table = None
            if burns:
                rules = {"default": {"input_tokens": dollars[0], "output_tokens": dollars[1], "per_unit": 7}}
                table = await product.admin("createBurnTable", {"name": "t", "rules": rules})
            for content, tokens_max in contents:
                await agrees(product, tier, content, tokens_max)
            if table is not None:
                await product.admin("deleteBurnTable", {"id": table["id"]})

        loop = asyncio.get_running_loop()

        @settings(deadline=None, max_examples=6, suppress_health_check=list(HealthCheck))
        @given(
            contents=st.lists(
                st.tuples(st.text("ab c9é", min_size=1, max_size=200), st.integers(1, 300)), min_size=1, max_size=3
            ),
            dollars=st.tuples(st.integers(0, 500), st.integers(0, 900)),
            burns=st.booleans(),
        )
        def searched(contents: list[tuple[str, int]], dollars: tuple[int, int], *, burns: bool) -> None:
            asyncio.run_coroutine_threadsafe(all_of(contents, dollars, burns=burns), loop).result(60)

        await asyncio.to_thread(searched)


async def test_an_unknown_model_is_refused_or_held_and_charged_at_the_ceiling_and_never_free(start: Start) -> None:
    providers = {"providers": {"openai": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"}}}
    more = {**providers, "routing": {"default_provider": "openai"}}
    body = {"provider": "openai", "model": "nobody-knows-7", "inputTokens": 1_000_000, "outputTokens": 1_000_000}
    async with start(**more) as product:
        refused = await product.refused(product.token("u1"), "calculateCost", body)
        assert refused.slug in ("unknown_model", PriceUnknown.reason)
    async with start({"unknown_model_ceiling": {"input": "50", "output": "200"}}, **more) as product:
        found = await product.call(product.token("u1"), "calculateCost", body)
        assert (found["costExact"], found["priceVersion"]) == ("250", "ceiling")


async def test_the_documents_prices_can_be_chosen_as_the_only_ones(start: Start) -> None:
    more = {
        "providers": {"openai": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "k"}},
        "routing": {"default_provider": "openai"},
    }
    async with start({"price_book": "legacy"}, **more) as product:
        # R9: 500 and 1000 tokens of gpt-4-turbo are $0.035; the document's 0.025 is an arithmetic slip.
        usage = {"model": "gpt-4-turbo", "inputTokens": 500, "outputTokens": 1000}
        found = await product.call(product.token("u1"), "calculateCost", usage)
        assert (found["costExact"], found["priceVersion"]) == ("0.035", "legacy-2026-01")
        modern = await product.refused(product.token("u1"), "calculateCost", {"model": "gpt-5"})
        assert modern.slug in ("unknown_model", PriceUnknown.reason)


async def test_s4_33_six_and_a_half_credits_show_six_and_then_seven(start: Start) -> None:
    async with start({"rounding": "floor_carry"}) as product:
        await product.admin("createBurnTable", {"name": "t", "rules": {"default": {"flat_rate": 6.5}}})
        await product.admin("grantCredits", {"userId": "u1", "amount": 1530})
        token = product.token("u1", "credits")
        shown = [(await product.call(token, "executeAIRequest", {"content": "Hello"}))["credits"] for _ in range(2)]
        assert [(each["deducted"], each["remaining"]) for each in shown] == [(6, 1524), (7, 1517)]
        assert (await product.call(token, "getCreditBalance"))["remainingExact"] == "1517"


async def test_s4_32_a_credits_answer_shows_what_the_month_has_come_to(start: Start) -> None:
    async with start() as product:
        await product.admin("grantCredits", {"userId": "u1", "amount": 1530})
        token = product.token("u1", "credits")
        tokens = cost = 0
        for number, key in enumerate((None, "k", "k", None)):
            answer = await product.call(token, "executeAIRequest", {"content": "Hello"}, key=key)
            if number != 2:  # the repeated key shows its first answer once more
                tokens += answer["usage"]["totalTokens"]
                cost += round(answer["usage"]["cost"] * 10**9)
            shown = answer["credits"]["monthlyUsage"]
            requests = (1, 2, 2, 3)[number]
            assert (shown["tokens"], shown["requests"], round(shown["cost"] * 10**9)) == (tokens, requests, cost)
        assert cost > 0
        balance = await product.call(token, "getCreditBalance")
        assert (balance["monthlyTokensUsed"], balance["monthlyRequestsUsed"]) == (tokens, 3)


async def test_a_fee_lies_between_its_bounds(start: Start) -> None:
    async with start({"platform_fee_min_usd": "0.01", "platform_fee_max_usd": "0.02"}) as product:
        token = product.token("u1", "allowance")
        for tokens, fee in ((0, 0), (10, 0.01), (75_000, 0.015), (9_000_000, 0.02)):
            assert (await product.call(token, "calculateCost", {"inputTokens": tokens}))["platformFee"] == fee


async def test_r10_quota_and_credits_both_bind_and_the_tighter_one_refuses(start: Start) -> None:
    tiers = {
        name: {"policy": "credits", "monthly_token_quota": quota, "features": ["basic_ai"]}
        for name, quota in (("narrow", 50), ("wide", 10_000_000))
    }
    body = {"content": "Hello", "options": {"maxTokens": 100}}
    async with start(tiers={**TIERS, **tiers}) as product:
        await product.admin("grantCredits", {"userId": "rich", "amount": 1000})
        refused = await product.refused(product.token("rich", "narrow"), "executeAIRequest", body)
        assert isinstance(refused, QuotaExceeded)
        refused = await product.refused(product.token("poor", "wide"), "executeAIRequest", body)
        assert isinstance(refused, PaymentRequired)
        assert (refused.slug, refused.data["available"]) == ("insufficient_credits", "0")
        assert (await product.call(product.token("rich", "wide"), "executeAIRequest", body))["success"] is True


async def test_s1_14_the_result_shows_tokens_charged_and_the_balance_left(product: Product) -> None:
    await product.admin("grantTokens", {"userId": "u1", "tokens": 100_000})
    answer = await product.call(product.token("u1"), "ai.generateText", {"content": "Hello"})
    shown, used = answer["tokenUsage"], answer["usage"]["totalTokens"]
    assert shown["tokensUsed"] == used
    assert shown["tokensCharged"] == -(-used * 5 // 4)
    assert shown["platformFee"] == shown["tokensCharged"] - used
    assert shown["remainingBalance"] == 100_000 - shown["tokensCharged"]
