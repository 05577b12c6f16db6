"""Team pools: an admin moves units between owners, once for a key, with a reason and a name."""

import json

import pytest

from methods.errors import Forbidden, InvalidParams
from monetization.errors import PaymentRequired
from storage.errors import IdempotencyConflict
from storage.store import open_reader
from tests.methods.money.conftest import Product

INTO_THE_POOL = {
    "from": {"userId": "u1"}, "to": {"teamId": "blue"}, "amount": 300, "reason": "pooled", "idempotencyKey": "t1",
}  # fmt: skip


async def fund(product: Product) -> None:
    await product.admin("grantTokens", {"userId": "u1", "tokens": 500, "expiresAt": "2100-01-01T00:00:00Z"})


async def balance(product: Product, user: str) -> int:
    found = await product.admin("getTokenBalance", {"userId": user})
    return int(found["virtualTokenBalance"])


async def test_units_go_into_a_pool_and_out_of_it_with_their_expiry(product: Product) -> None:
    await fund(product)
    moved = await product.admin("transferBalance", INTO_THE_POOL)
    assert (moved["amount"], moved["newBalance"], moved["available"], moved["isReplay"]) == ("300", "200", "200", False)
    back = {"from": {"teamId": "blue"}, "to": {"userId": "u2"}, "amount": "120", "reason": "shared out"}
    assert (await product.admin("transferBalance", back))["newBalance"] == "180"
    assert (await balance(product, "u1"), await balance(product, "u2")) == (200, 120)
    topups = (await product.admin("getTopupHistory", {"userId": "u2"}))["topups"]
    assert [(lot["amountExact"], lot["expiresAt"]) for lot in topups] == [("120", "2100-01-01T00:00:00Z")]
    rows = (await product.admin("getTransactions", {"userId": "u1"}))["data"]
    assert [(row["transactionType"], row["amount"]) for row in rows] == [("TRANSFER", "-300"), ("GRANT", "500")]
    assert rows[0]["id"] == moved["transactionId"]


async def test_a_repeated_key_moves_once_and_another_body_is_refused(product: Product) -> None:
    await fund(product)
    first = await product.admin("transferBalance", INTO_THE_POOL)
    await product.admin("grantTokens", {"userId": "u1", "tokens": 5})
    assert await product.admin("transferBalance", INTO_THE_POOL) == {**first, "isReplay": True}
    for change in ({"amount": 299}, {"to": {"teamId": "red"}}, {"from": {"userId": "u2"}}, {"reason": "other"}):
        refused = await product.refused_admin("transferBalance", {**INTO_THE_POOL, **change})
        assert isinstance(refused, IdempotencyConflict), change
    assert await balance(product, "u1") == 205


async def test_more_than_is_there_cannot_be_moved(product: Product) -> None:
    await fund(product)
    refused = await product.refused_admin("transferBalance", {**INTO_THE_POOL, "amount": 501})
    assert isinstance(refused, PaymentRequired)
    assert refused.data["available"] == "500"
    assert await balance(product, "u1") == 500


async def test_a_move_to_oneself_is_refused(product: Product) -> None:
    await fund(product)
    refused = await product.refused_admin("transferBalance", {**INTO_THE_POOL, "to": {"userId": "u1"}})
    assert isinstance(refused, InvalidParams)
    assert "name two owners" in str(refused)


@pytest.mark.parametrize(
    "change",
    [
        {"from": {}}, {"to": {"userId": "u", "teamId": "t"}}, {"amount": 0}, {"amount": -1}, {"amount": "0.5"}, {"reason": ""},
    ],
)  # fmt: skip
async def test_what_is_no_move_is_refused(product: Product, change: dict[str, object]) -> None:
    assert isinstance(await product.refused_admin("transferBalance", {**INTO_THE_POOL, **change}), InvalidParams)


async def test_a_user_cannot_move_even_their_own(product: Product) -> None:
    await fund(product)
    assert isinstance(await product.refused(product.token("u1"), "transferBalance", INTO_THE_POOL), Forbidden)


async def test_a_move_leaves_its_author_and_reason(product: Product) -> None:
    await fund(product)
    await product.admin("transferBalance", INTO_THE_POOL)
    async with open_reader(product.settings.storage.url.get_secret_value(), clock_us=lambda: 0) as reader:
        [row] = [
            row
            for row in await reader.kept("default", "audit", "user:u1")
            if json.loads(row.body)["action"] == "transfer"
        ]
    assert (row.actor, row.reason, json.loads(row.body)["order"]["amount"]) == ("boss", "pooled", 300)
