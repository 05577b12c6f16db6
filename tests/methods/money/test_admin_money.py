"""What an admin does with money: once for its key, with its author, and never more than there is."""

import time
from typing import Any

import orjson
import pytest

from billing.accounts import system
from billing.errors import InvalidAmount, NotRefundable
from methods.errors import InvalidParams
from monetization.errors import PaymentRequired
from storage.errors import IdempotencyConflict, NotFound
from storage.records.ledger import REVENUE_USAGE
from storage.store import open_reader
from tests.methods.money.conftest import Product, Start

PURCHASE = {"userId": "u1", "tokens": 1000, "kind": "purchase", "pricePaid": "10", "idempotencyKey": "o1"}


async def kept(product: Product, kind: str) -> list[Any]:
    url = product.settings.storage.url.get_secret_value()
    async with open_reader(url, clock_us=lambda: time.time_ns() // 1_000) as reader:
        return [(row.key, row.actor, row.reason, orjson.loads(row.body)) for row in await reader.kept("default", kind)]


@pytest.mark.parametrize(
    ("method", "params", "other"),
    [
        ("grantTokens", PURCHASE, {"tokens": 1001}),
        ("grantTokens", PURCHASE, {"userId": "u2"}),
        ("grantTokens", {"userId": "u1", "tokens": 5, "idempotencyKey": "o1"}, {"reason": "another"}),
        ("grantCredits", {"userId": "u1", "amount": "6.5", "idempotencyKey": "o1"}, {"amount": "6.4"}),
        ("grantCredits", {"userId": "u1", "priceUsd": 99, "idempotencyKey": "o1"}, {"marginPercent": "70"}),
        ("adjustBalance", {"userId": "u1", "amount": 7, "reason": "r", "idempotencyKey": "o1"}, {"amount": 8}),
    ],
)
async def test_a_repeated_key_gets_the_first_answer_and_another_body_is_refused(
    product: Product, method: str, params: dict[str, object], other: dict[str, object]
) -> None:
    first = await product.admin(method, params)
    before = await product.call(product.token("u1"), "getTransactions", {"asset": first["asset"]})
    again = await product.admin(method, params)
    assert again == {**first, "isReplay": True}
    assert first["isReplay"] is False
    assert isinstance(await product.refused_admin(method, {**params, **other}), IdempotencyConflict)
    assert await product.call(product.token("u1"), "getTransactions", {"asset": first["asset"]}) == before


async def test_keys_of_tokens_and_credits_do_not_meet(product: Product) -> None:
    await product.admin("grantTokens", {"userId": "u1", "tokens": 5, "idempotencyKey": "k"})
    await product.admin("grantCredits", {"userId": "u1", "amount": 5, "idempotencyKey": "k"})
    await product.admin("adjustBalance", {"userId": "u1", "amount": 5, "reason": "r", "idempotencyKey": "k"})
    assert (await product.call(product.token("u1"), "getTokenBalance"))["virtualTokenBalance"] == 10


async def test_every_movement_leaves_its_author_and_reason_in_the_same_commit(product: Product) -> None:
    await product.admin("grantTokens", {**PURCHASE, "reason": "paid by wire"})
    await product.admin("adjustBalance", {"userId": "u1", "amount": -1, "reason": "typo"})
    await product.admin("refundPurchase", {"userId": "u1", "grantId": "o1", "reason": "withdrawn"})
    rows = await kept(product, "audit")
    assert [(key, actor, reason, body["action"]) for key, actor, reason, body in rows] == [
        ("user:u1", "boss", "paid by wire", "grant"),
        ("user:u1", "boss", "typo", "adjust"),
        ("user:u1", "boss", "withdrawn", "refund_purchase"),
    ]
    refused = await product.refused_admin("adjustBalance", {"userId": "u1", "amount": -10_000, "reason": "too much"})
    assert isinstance(refused, PaymentRequired)
    assert await kept(product, "audit") == rows


async def test_s4_16_a_price_of_99_dollars_at_80_percent_grants_1980_credits(product: Product) -> None:
    granted = await product.admin("grantCredits", {"userId": "u1", "priceUsd": "99", "purchaseType": "subscription"})
    assert (granted["amount"], granted["creditsGranted"]) == ("1980", 1980.0)
    bought = await product.call(product.token("u1"), "getPurchaseHistory", {"type": "subscription"})
    assert bought["purchases"][0]["amountPaidExact"] == "99"
    assert bought["purchases"][0]["platformFee"] == 0


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("grantCredits", {"userId": "u1"}),
        ("grantCredits", {"userId": "u1", "amount": 1, "priceUsd": 1}),
        ("grantCredits", {"userId": "u1", "amount": "0"}),
        ("grantCredits", {"userId": "u1", "amount": "-1"}),
        ("grantCredits", {"userId": "u1", "amount": "0.0000000001"}),
        ("grantCredits", {"userId": "u1", "amount": "99999999999999999999"}),
        ("grantCredits", {"userId": "u1", "amount": True}),
        ("grantCredits", {"userId": "u1", "amount": 1e300}),
        ("grantCredits", {"userId": "u1", "amount": "1e9"}),
        ("grantCredits", {"userId": "u1", "amount": 1, "pricePaid": "1"}),
        ("grantTokens", {"userId": "u1", "tokens": 0}),
        ("grantTokens", {"userId": "u1", "tokens": 1.5}),
        ("grantTokens", {"userId": "", "tokens": 1}),
        ("grantTokens", {"userId": "u1", "tokens": 1, "expiresAt": "2030-01-01T00:00:00"}),
        ("adjustBalance", {"userId": "u1", "amount": 0, "reason": "r"}),
        ("adjustBalance", {"userId": "u1", "amount": "1.5", "reason": "r"}),
        ("adjustBalance", {"userId": "u1", "amount": 1}),
        ("refundCharge", {"transactionId": "12", "reason": "r"}),
        ("refundPurchase", {"userId": "u1", "grantId": "o1"}),
    ],
)
async def test_figures_that_cannot_be_are_refused_before_anything_moves(
    product: Product, method: str, params: dict[str, object]
) -> None:
    assert isinstance(await product.refused_admin(method, params), InvalidParams)
    assert await kept(product, "audit") == []


async def test_a_lot_that_would_have_expired_already_is_refused(product: Product) -> None:
    body = {"userId": "u1", "tokens": 5, "expiresAt": "2001-01-01T00:00:00Z"}
    refused = await product.refused_admin("grantTokens", body)
    assert isinstance(refused, InvalidAmount)
    assert refused.slug == "invalid"


async def test_a_purchase_is_taken_back_once_with_the_platforms_share(product: Product) -> None:
    await product.admin("grantTokens", PURCHASE)
    body = {"userId": "u1", "grantId": "o1", "reason": "withdrawn"}
    back = await product.admin("refundPurchase", body)
    assert {key: back[key] for key in ("refunded", "platformFeeReturned", "value", "newBalance")} == {
        "refunded": "800",
        "platformFeeReturned": "200",
        "value": "10",
        "newBalance": "0",
    }
    refused = await product.refused_admin("refundPurchase", body)
    assert isinstance(refused, NotRefundable)
    assert refused.data == {"refundable": "0", "asset": "TOKEN"}
    balance = await product.call(product.token("u1"), "getTokenBalance")
    assert (balance["platformFeeCollected"], balance["totalTokensRefunded"]) == (0, 800)


async def test_a_purchase_taken_back_in_parts_gives_back_its_share_to_the_last_token(product: Product) -> None:
    await product.admin("grantTokens", {**PURCHASE, "tokens": 1001})  # 800 usable, 201 for the platform
    returned = []
    for part in (1, 299, 333):
        body = {"userId": "u1", "grantId": "o1", "reason": "r", "amount": part}
        returned.append(int((await product.admin("refundPurchase", body))["platformFeeReturned"]))
    rest = await product.admin("refundPurchase", {"userId": "u1", "grantId": "o1", "reason": "r"})
    assert rest["refunded"] == str(800 - 633)
    assert sum(returned) + int(rest["platformFeeReturned"]) == 201
    purchase = (await product.call(product.token("u1"), "getPurchaseHistory"))["purchases"][0]
    assert (purchase["remaining"], purchase["refunded"]) == (0, 800)


async def test_what_was_spent_of_a_purchase_is_not_taken_back(product: Product) -> None:
    await product.admin("grantTokens", {**PURCHASE, "tokens": 100_000})
    token = product.token("u1")
    answer = await product.call(token, "executeAIRequest", {"content": "Hello"})
    spent = answer["tokenUsage"]["tokensCharged"]
    refused = await product.refused_admin(
        "refundPurchase", {"userId": "u1", "grantId": "o1", "reason": "r", "amount": 80_000}
    )
    assert isinstance(refused, NotRefundable)
    assert refused.data["refundable"] == str(80_000 - spent)
    nobody = await product.refused_admin("refundPurchase", {"userId": "u2", "grantId": "o1", "reason": "r"})
    assert isinstance(nobody, NotFound)


async def test_a_charge_is_given_back_once(product: Product) -> None:
    await product.admin("grantTokens", {"userId": "u1", "tokens": 100_000})
    token = product.token("u1")
    charged = (await product.call(token, "executeAIRequest", {"content": "Hello"}))["tokenUsage"]["tokensCharged"]
    burn = (await product.call(token, "getTransactions"))["data"][0]
    assert burn["amount"] == str(-charged)
    part = await product.admin("refundCharge", {"transactionId": burn["id"], "reason": "bad answer", "amount": 1})
    assert part["refunded"] == "1"
    rest = await product.admin("refundCharge", {"transactionId": burn["id"], "reason": "bad answer"})
    assert (rest["refunded"], rest["newBalance"]) == (str(charged - 1), "100000")
    refused = await product.refused_admin("refundCharge", {"transactionId": burn["id"], "reason": "bad answer"})
    assert isinstance(refused, NotRefundable)
    assert refused.data == {"refundable": "0", "asset": "TOKEN"}
    unknown = await product.refused_admin("refundCharge", {"transactionId": "TOKEN-999999", "reason": "r"})
    assert isinstance(unknown, NotFound)
    assert (await product.call(token, "getTokenBalance"))["totalTokensUsed"] == 0


async def test_a_refund_with_a_key_is_made_once_however_often_it_is_sent(product: Product) -> None:
    await product.admin("grantTokens", PURCHASE)
    body = {"userId": "u1", "grantId": "o1", "reason": "r", "amount": 100, "idempotencyKey": "refund-1"}
    first = await product.admin("refundPurchase", body)
    assert await product.admin("refundPurchase", body) == {**first, "isReplay": True}
    assert (first["refunded"], first["newBalance"]) == ("100", "700")
    other = await product.refused_admin("refundPurchase", {**body, "amount": 101})
    assert isinstance(other, IdempotencyConflict)
    assert (await product.call(product.token("u1"), "getTokenBalance"))["virtualTokenBalance"] == 700


async def test_a_charge_given_back_with_a_key_is_given_back_once(product: Product) -> None:
    await product.admin("grantTokens", {"userId": "u1", "tokens": 100_000})
    token = product.token("u1")
    await product.call(token, "executeAIRequest", {"content": "Hello"})
    burn = (await product.call(token, "getTransactions"))["data"][0]
    body = {"transactionId": burn["id"], "reason": "r", "amount": 1, "idempotencyKey": "back-1"}
    first = await product.admin("refundCharge", body)
    assert await product.admin("refundCharge", body) == {**first, "isReplay": True}
    other = await product.refused_admin("refundCharge", {**body, "amount": 2})
    assert isinstance(other, IdempotencyConflict)


async def test_grants_and_their_keys_outlive_a_restart(start: Start) -> None:
    async with start() as product:
        first = await product.admin("grantTokens", PURCHASE)
    async with start() as product:
        assert await product.admin("grantTokens", PURCHASE) == {**first, "isReplay": True}
        back = await product.admin("refundPurchase", {"userId": "u1", "grantId": "o1", "reason": "r"})
        assert back["platformFeeReturned"] == "200"


async def test_the_balance_tells_where_every_token_went(product: Product) -> None:
    token = product.token("u1")
    await product.admin("grantTokens", {**PURCHASE, "tokens": 10_000})
    await product.admin("grantTokens", {"userId": "u1", "tokens": 500})
    await product.admin("adjustBalance", {"userId": "u1", "amount": -100, "reason": "r"})
    await product.call(token, "executeAIRequest", {"content": "Hello", "options": {"maxTokens": 50}})
    await product.admin("refundPurchase", {"userId": "u1", "grantId": "o1", "reason": "r", "amount": 700})
    found = await product.call(token, "getTokenBalance")
    assert found["totalTokensUsed"] > 0
    assert found["virtualTokenBalance"] == (
        found["totalTokensGranted"]
        + found["totalTokensAdjusted"]
        + found["totalTokensMoved"]
        - found["totalTokensUsed"]
        - found["totalTokensExpired"]
        - found["totalTokensRefunded"]
    )


async def test_the_platforms_share_is_earned_with_a_purchase_and_given_back_with_its_refund(product: Product) -> None:
    url = product.settings.storage.url.get_secret_value()

    async def earned() -> int:
        async with open_reader(url, clock_us=lambda: time.time_ns() // 1_000) as reader:
            return await reader.system_balance(system(REVENUE_USAGE, "TOKEN"))

    await product.admin("grantTokens", PURCHASE)
    assert await earned() == 200
    await product.admin("refundPurchase", {"userId": "u1", "grantId": "o1", "reason": "r", "amount": 400})
    assert await earned() == 100
    await product.admin("refundPurchase", {"userId": "u1", "grantId": "o1", "reason": "r"})
    assert await earned() == 0
