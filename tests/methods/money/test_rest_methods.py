"""The methods that the REST facades needed: consuming, entitlement rows, bulk prices, the way to an upgrade."""

import pytest

from methods.errors import InvalidParams
from monetization.errors import PaymentRequired
from storage.errors import IdempotencyConflict, NotFound
from tests.methods.money.conftest import Start

SOLD = {"userId": "u1", "amount": "25.5", "featureId": "export", "idempotencyKey": "export-7"}


async def test_credits_are_consumed_once_for_their_key_and_never_beyond_the_balance(start: Start) -> None:
    async with start() as product:
        await product.admin("grantCredits", {"userId": "u1", "amount": 100})
        first = await product.admin("consumeCredits", SOLD)
        again = await product.admin("consumeCredits", SOLD)
        assert (first["amount"], first["newBalance"], first["isReplay"]) == ("25.5", 74.5, False)
        assert again == {**first, "isReplay": True}
        assert isinstance(await product.refused_admin("consumeCredits", {**SOLD, "amount": 1}), IdempotencyConflict)
        assert isinstance(
            await product.refused_admin("consumeCredits", {"userId": "u1", "amount": 75}), PaymentRequired
        )
        balance = await product.admin("getCreditBalance", {"userId": "u1"})
        assert (balance["remainingExact"], balance["usedCredits"]) == ("74.5", 25.5)
        moved = await product.admin("getTransactions", {"userId": "u1", "asset": "CREDIT"})
        assert (moved["data"][0]["id"], moved["data"][0]["transactionType"]) == (first["transactionId"], "BURN")
        events = await product.admin("listUsageEvents", {"userId": "u1"})
        assert [(row["eventType"], row["featureId"]) for row in events["events"]] == [("CUSTOM", "export")]


async def test_what_was_consumed_can_be_given_back(start: Start) -> None:
    async with start() as product:
        await product.admin("grantCredits", {"userId": "u1", "amount": 100})
        sold = await product.admin("consumeCredits", SOLD)
        await product.admin("refundCharge", {"transactionId": sold["transactionId"], "reason": "by mistake"})
        assert (await product.admin("getCreditBalance", {"userId": "u1"}))["remainingExact"] == "100"


async def test_an_entitlement_is_a_quota_that_the_check_obeys(start: Start) -> None:
    async with start() as product:
        row = {"userId": "u1", "featureId": "ai-export", "limitType": "hard", "limitValue": 2, "period": "monthly"}
        made = await product.admin("setEntitlement", row)
        assert (made["limitType"], made["period"], made["featureId"]) == ("HARD", "MONTHLY", "ai-export")
        token = product.token("u1")
        asked = {"featureId": "ai-export", "action": {"type": "custom", "model": "simulator", "estimatedCount": 3}}
        assert (await product.call(token, "checkEntitlement", asked))["limitType"] == "HARD"
        changed = await product.admin("updateEntitlement", {"id": made["id"], "limitType": "SOFT"})
        assert (changed["limitType"], changed["limitValue"]) == ("SOFT", 2)
        listed = await product.call(product.token("u1"), "listEntitlements", {})
        assert listed == {"data": [{**changed, "currentUsage": 0}], "total": 1}
        free = await product.admin("updateEntitlement", {"id": made["id"], "limitType": "NONE"})
        assert "limitValue" not in free
        needs = await product.refused_admin("updateEntitlement", {"id": made["id"], "limitType": "HARD"})
        assert isinstance(needs, InvalidParams)
        await product.admin("deleteEntitlement", {"id": made["id"]})
        assert isinstance(await product.refused_admin("deleteEntitlement", {"id": made["id"]}), NotFound)


async def test_metadata_of_any_json_is_taken_where_openmonetize_names_it_and_kept_with_the_act(start: Start) -> None:
    said = {"order": "A-7", "items": [1, {"sku": None}], "isGift": True, "weight": 0.5}
    kept = {"order": "A-7", "items": '[1,{"sku":null}]', "isGift": "true", "weight": "0.5"}
    async with start() as product:
        order = {"userId": "u1", "amount": 100, "idempotencyKey": "order-7", "metadata": said}
        await product.admin("grantCredits", order)
        assert (await product.admin("grantCredits", order))["isReplay"]
        other = await product.refused_admin("grantCredits", {**order, "metadata": {}})
        assert isinstance(other, IdempotencyConflict)
        limit = {"userId": "u1", "featureId": "export", "limitType": "HARD", "limitValue": 2, "metadata": said}
        made = await product.admin("setEntitlement", limit)
        await product.admin("updateEntitlement", {"id": made["id"], "limitType": "SOFT", "metadata": {"by": "me"}})
        await product.admin("consumeCredits", {**SOLD, "metadata": said})
        acts = [act["details"] for act in (await product.admin("listAuditEvents"))["events"]]
        assert [act.get("order", act).get("metadata") for act in acts] == [kept, {"by": "me"}, kept, kept]
        (row,) = (await product.admin("listUsageEvents", {"userId": "u1"}))["events"]
        assert row["metadata"] == kept
        for wrong in ({"long": "x" * 4_096}, {str(number): 1 for number in range(21)}, ["a"], {"a\n": 1}):
            refused = await product.refused_admin("grantCredits", {"userId": "u1", "amount": 1, "metadata": wrong})
            assert isinstance(refused, InvalidParams)


@pytest.mark.parametrize(
    "wrong", [{"limitType": "HARD"}, {"limitType": "NONE", "limitValue": 1}, {"limitType": "WEAK", "limitValue": 1}]
)
async def test_an_entitlement_without_sense_is_refused(start: Start, wrong: dict[str, object]) -> None:
    async with start() as product:
        said = {"userId": "u1", "featureId": "export", **wrong}
        assert isinstance(await product.refused_admin("setEntitlement", said), InvalidParams)


async def test_many_usages_are_priced_as_each_alone(start: Start) -> None:
    async with start() as product:
        token = product.token("u1", "credits")
        one = await product.call(token, "calculateCost", {"model": "simulator", "inputTokens": 500, "outputTokens": 9})
        both = [
            {"model": "simulator", "inputTokens": 500, "outputTokens": 9},
            {"model": "simulator", "input_tokens": 500, "output_tokens": 9},
        ]
        assert await product.call(token, "calculateCosts", {"calculations": both}) == {
            "results": [one, one],
            "total": 2,
        }


async def test_an_upgrade_leads_to_the_operators_page_or_says_that_there_is_none(start: Start) -> None:
    async with start(urls={"upgrade": "https://example.com/upgrade"}) as product:
        shown = await product.call(product.token("u1"), "getUpgradeUrl", {"tier": "pro"})
        assert shown == {"success": True, "checkoutUrl": "https://example.com/upgrade", "tier": "professional"}
        assert isinstance(await product.refused(product.token("u1"), "getUpgradeUrl", {"tier": "gold"}), NotFound)


async def test_an_upgrade_without_a_page_is_refused_with_the_reason(start: Start) -> None:
    async with start() as product:
        refused = await product.refused(product.token("u1"), "getUpgradeUrl", {"tier": "pro"})
        assert refused.slug == "payments_not_configured"
