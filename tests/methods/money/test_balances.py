"""What users see of their money: balances, histories, and never anybody else's."""

import itertools
from typing import Any

import pytest

from methods.all_methods import METHODS
from methods.errors import Forbidden, Unauthenticated
from monetization.roles import IN_ORGANIZATION, SCOPES
from storage.errors import InvalidCursor
from tests.methods.money.conftest import Product

READS = (
    "getTokenBalance",
    "getCreditBalance",
    "getUsageHistory",
    "getTopupHistory",
    "getPurchaseHistory",
    "getTransactions",
)
ADMIN = [method for method in METHODS if method.scope not in SCOPES["member"] | IN_ORGANIZATION["admin"]]


@pytest.mark.parametrize("method", READS)
async def test_a_user_whom_nothing_has_touched_gets_zeros_in_one_call(product: Product, method: str) -> None:
    answer = await product.call(product.token("new"), method)
    assert not any(
        value for key, value in answer.items() if isinstance(value, (int, float, list)) and key != "creditValueUsd"
    )
    assert answer == await product.call(product.token("new"), f"billing.{method}")


@pytest.mark.parametrize("method", READS)
async def test_nobody_without_a_credential_sees_a_balance(product: Product, method: str) -> None:
    assert isinstance(await product.refused("", method), Unauthenticated)


async def test_a_user_never_sees_the_rows_of_another(product: Product) -> None:
    await product.admin("grantTokens", {"userId": "rich", "tokens": 100_000, "kind": "purchase"})
    await product.call(product.token("rich"), "executeAIRequest", {"content": "Hello"})
    for method in READS:
        refused = await product.refused(product.token("poor"), method, {"userId": "rich"})
        assert isinstance(refused, Forbidden), method
        assert refused.data == {"scope": "users:read"}
        assert await product.call(product.token("poor"), method) == await product.call(
            product.token("poor"), method, {"userId": "poor"}
        )
    mine = await product.call(product.token("rich"), "getTransactions")
    assert await product.admin("getTransactions", {"userId": "rich"}) == mine
    assert mine["data"] != []


def test_there_are_admin_methods_to_guard() -> None:
    assert {method.name for method in ADMIN} == {
        *("grantTokens", "grantCredits", "adjustBalance", "refundPurchase", "refundCharge"),
        *("setPrice", "listPrices", "createBurnTable", "updateBurnTable", "listBurnTables", "deleteBurnTable"),
        *("activateBurnTable", "transferBalance", "reloadTiers", "createTiersForMargin"),
        *("updateUserSubscription", "setLimits", "createOrganization", "listOrganizations"),
        *("setQuota", "deleteQuota", "listAuditEvents", "listBlocks", "unblock", "deleteOrganization"),
        *("ingestEvents", "listDeadLetters", "replayDeadLetters", "deleteDeadLetters"),
        "getIngestionInfo",
        *("getAdminAnalytics", "getMarginBreakdown", "consumeCredits"),
        *("setEntitlement", "updateEntitlement", "deleteEntitlement"),
    }


@pytest.mark.parametrize("method", [method.name for method in ADMIN])
async def test_nobody_without_the_scope_reaches_an_admin_method(product: Product, method: str) -> None:
    example = next(found for found in ADMIN if found.name == method).examples[0].params
    refused = await product.refused(product.token("u1", role="editor"), method, example)
    assert isinstance(refused, Forbidden)
    assert refused.data == {"scope": next(found for found in ADMIN if found.name == method).scope}
    assert isinstance(await product.refused("", method, example), Unauthenticated)
    assert (await product.admin("listPrices"))["data"] == []


async def test_s1_01_a_purchase_is_split_and_both_parts_are_visible_and_booked(product: Product) -> None:
    granted = await product.admin(
        "grantTokens", {"userId": "u1", "tokens": 1000, "kind": "purchase", "pricePaid": "10", "idempotencyKey": "o1"}
    )
    assert (granted["tokensBought"], granted["tokensGranted"], granted["tokensPlatform"]) == (1000, 800, 200)
    assert granted["newBalance"] == "800"
    token = product.token("u1")
    balance = await product.call(token, "getTokenBalance")
    assert balance["virtualTokenBalance"] == 800
    assert balance["totalTokensPurchased"] == 1000
    assert balance["platformFeeCollected"] == 200
    bought = await product.call(token, "getPurchaseHistory")
    assert bought["purchases"][0] | {"purchasedAt": ""} == {
        "id": "o1",
        "type": "one_time",
        "asset": "TOKEN",
        "purchased": 1000.0,
        "granted": 800.0,
        "platformFee": 200.0,
        "remaining": 800.0,
        "refunded": 0.0,
        "amountPaid": 10.0,
        "amountPaidExact": "10",
        "currency": "USD",
        "purchasedAt": "",
    }
    assert bought["summary"] == {
        "totalPurchases": 1,
        "subscriptionPurchases": 0,
        "oneTimePurchases": 1,
        "totalAmountSpentUsd": 10.0,
        "totalTokensPurchased": 1000,
    }


async def test_purchases_are_told_apart_by_type(product: Product) -> None:
    for number, kind in enumerate(("subscription", "one_time", "one_time")):
        body = {"userId": "u1", "tokens": 10, "kind": "purchase", "purchaseType": kind, "idempotencyKey": f"o{number}"}
        await product.admin("grantTokens", body)
    await product.admin("grantTokens", {"userId": "u1", "tokens": 5})
    token = product.token("u1")
    for kind, ids in (("all", ["o2", "o1", "o0"]), ("subscription", ["o0"]), ("one_time", ["o2", "o1"])):
        answer = await product.call(token, "getPurchaseHistory", {"type": kind})
        assert [purchase["id"] for purchase in answer["purchases"]] == ids
        assert answer["summary"]["totalPurchases"] == len(ids)
    topups = (await product.call(token, "getTopupHistory"))["topups"]
    assert [topup["kind"] for topup in topups] == ["promotion", "purchase", "purchase", "purchase"]


async def test_transactions_tell_the_balance_before_and_after_over_all_pages(product: Product) -> None:
    token = product.token("u1")
    await product.admin("grantTokens", {"userId": "u1", "tokens": 100_000})
    for _ in range(5):
        await product.call(token, "executeAIRequest", {"content": "Hello"})
    pages, cursor = [], None
    while True:
        asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = await product.call(token, "getTransactions", asked)
        pages.append(page["data"])
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    rows = [row for page in pages for row in page]
    assert [row["transactionType"] for row in rows] == ["BURN"] * 5 + ["GRANT"]
    assert rows[-1]["balanceBefore"] == "0"
    assert rows[0]["balanceAfter"] == str((await product.call(token, "getTokenBalance"))["virtualTokenBalance"])
    for newer, older in itertools.pairwise(rows):
        assert newer["balanceBefore"] == older["balanceAfter"]
    assert len({row["id"] for row in rows}) == 6


async def test_a_call_that_took_nothing_is_usage_and_no_transaction(product: Product) -> None:
    """S2-30: transactions are what moved on a wallet; what a plan includes moves nothing."""
    token = product.token("u1", "allowance")
    for _ in range(3):
        await product.call(token, "executeAIRequest", {"content": "Hello"})
    await product.admin("grantTokens", {"userId": "u1", "tokens": 10})
    for _ in range(3):
        await product.call(token, "executeAIRequest", {"content": "Hello"})
    page = await product.call(token, "getTransactions", {"limit": 1})
    assert [(row["transactionType"], row["amount"]) for row in page["data"]] == [("GRANT", "10")]
    assert "nextCursor" not in page
    assert len((await product.call(token, "getUsageHistory"))["history"]) == 6


@pytest.mark.parametrize("method", ["getUsageHistory", "getTopupHistory", "getPurchaseHistory", "getTransactions"])
@pytest.mark.parametrize("cursor", ["x", "1.x", "1.2:", "9" * 30, "1:2:3", "-1.2", "1.2:x"])
async def test_a_foreign_cursor_is_refused(product: Product, method: str, cursor: str) -> None:
    if (method, cursor) == ("getTransactions", "1.2:"):
        assert (await product.call(product.token("u1"), method, {"cursor": cursor}))["data"] == []
        return
    assert isinstance(await product.refused(product.token("u1"), method, {"cursor": cursor}), InvalidCursor)


async def test_usage_history_goes_page_by_page(product: Product) -> None:
    token = product.token("u1", "allowance")
    for _ in range(3):
        await product.call(token, "executeAIRequest", {"content": "Hello"})
    first = await product.call(token, "getUsageHistory", {"limit": 2})
    second = await product.call(token, "getUsageHistory", {"limit": 2, "cursor": first["nextCursor"]})
    assert (len(first["history"]), len(second["history"])) == (2, 1)
    assert "nextCursor" not in second
    entry = first["history"][0]
    assert entry["priceVersion"] == "simulator-1"
    assert entry["totalTokens"] == entry["inputTokens"] + entry["outputTokens"]


async def test_s4_24_the_credit_balance_has_the_documents_fields(product: Product) -> None:
    await product.admin("grantCredits", {"userId": "u1", "priceUsd": "99", "idempotencyKey": "i1"})
    await product.admin("adjustBalance", {"userId": "u1", "asset": "CREDIT", "amount": "-0.5", "reason": "test"})
    token = product.token("u1", "credits")
    balance: dict[str, Any] = await product.call(token, "getCreditBalance")
    assert balance["totalCredits"] == 1979.5
    assert balance["remainingExact"] == "1979.5"
    answer = await product.call(token, "executeAIRequest", {"content": "Hello", "options": {"maxTokens": 100}})
    after = await product.call(token, "getCreditBalance")
    assert after["usedCredits"] == pytest.approx(answer["credits"]["deducted"])
    assert after["remainingCredits"] == answer["credits"]["remaining"]
    assert after["monthlyRequestsUsed"] == 1
    assert after["monthlyTokensUsed"] == answer["usage"]["totalTokens"]
    assert after["totalCredits"] == balance["totalCredits"]
    assert after["tier"] == "credits"
    assert after["percentUsed"].endswith("%")
