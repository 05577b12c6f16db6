import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from methods.errors import Forbidden, InvalidParams, Unauthenticated
from monetization.errors import Overloaded, PriceUnknown
from tests.methods.ingestion.conftest import BOTH, Sender, event, iso

CREDITS = {"ingestion": {"unit_prices": {"dall-e-3/1024x1024/hd": "0.08", "pages": "0.01", "call": "0"}}}


async def test_s2_33_the_batch_sample_is_answered_in_openmonetizes_shape(sender: Sender) -> None:
    answer = await sender.tell(event("evt_123"), event("evt_124"), event("evt_123"), {"event_id": "evt_125"})
    assert answer.pop("batch_id").startswith("batch_req_")
    assert answer.pop("processing_time_ms") >= 0
    assert answer.pop("results")[3].pop("detail")
    assert answer == {"accepted": 2, "rejected": 1, "duplicates": 1, "dead_letters": 0, "status": "processed"}
    again = await sender.tell(event("evt_123", timestamp=iso(days=3)), event("evt_124"))
    assert (again["accepted"], again["duplicates"], again["status"]) == (0, 2, "all_duplicates")


async def test_s2_19_tokens_told_of_cost_the_user_what_a_call_would(sender: Sender) -> None:
    preview = await sender.product.call(
        sender.product.token("u1", "credits"),
        "calculateCost",
        {"provider": "simulator", "model": "simulator", "inputTokens": 1000, "outputTokens": 500},
    )
    before = await sender.balance()
    assert await sender.one(event(feature_id="chat", metadata={"team": "red"})) == {
        "event_id": "evt_1",
        "status": "accepted",
    }
    after = await sender.balance()
    assert before - after == pytest.approx(preview["credits"])
    row = (await sender.history())[0]
    assert (row["requestId"], row["method"], row["outcome"]) == ("evt_1", "ingestEvents", "done")
    assert (row["inputTokens"], row["outputTokens"], row["costExact"]) == (1000, 500, preview["costExact"])
    assert (row["charged"], row["chargedAsset"]) == ("0.2", "CREDIT")


async def test_tokens_of_a_batch_are_charged_at_the_price_of_batches(sender: Sender) -> None:
    prices = {"input": "4", "output": "8", "batch.input": "1", "batch.output": "2"}
    await sender.admin("setPrice", {"provider": "simulator", "model": "simulator", "prices": prices})
    for kind, cost in (("batch", "0.002"), ("default", "0.008")):
        told = event(f"evt_{kind}", service_tier=kind)
        assert (await sender.one(told))["status"] == "accepted"
        row = (await sender.history())[0]
        assert row["costExact"] == cost
        assert row["priceVersion"].endswith("/batch") == (kind == "batch")
    urgent = await sender.one(event("evt_urgent", processing="priority"))
    assert (urgent["reason"], "dead_letter_id" in urgent) == ("unknown_model", True)


async def test_s2_20_and_s2_21_images_and_pages_are_charged_by_their_unit(sending: Any) -> None:
    async with sending(**CREDITS) as sender:
        await sender.subscribe("u1", "credits")
        await sender.admin("grantCredits", {"userId": "u1", "amount": "100"})
        image = {
            "event_id": "evt_img",
            "user_id": "u1",
            "event_type": "IMAGE_GENERATION",
            "provider": "OPENAI",
            "model": "dall-e-3",
            "image_count": 2,
            "image_size": "1024x1024",
            "quality": "hd",
        }
        pages = {"eventId": "evt_p", "userId": "u1", "eventType": "CUSTOM", "unitType": "pages", "quantity": 5}
        free = {"eventId": "evt_c", "userId": "u1", "eventType": "API_CALL"}
        assert (await sender.tell(image, pages, free))["accepted"] == 3
        assert await sender.balance() == 100 - 16 - 5


@pytest.mark.parametrize(
    ("user", "tier", "taken"), [("u1", "credits", 0.2), ("u2", "virtual_tokens", 1875), ("u3", "allowance", 0)]
)
async def test_every_policy_takes_what_it_takes_of_calls(sender: Sender, user: str, tier: str, taken: float) -> None:
    before = await sender.balance(user)
    assert (await sender.one(event(user=user)))["status"] == "accepted"
    assert before - await sender.balance(user) == pytest.approx(taken)
    if tier == "allowance":
        status = await sender.product.call(sender.product.token(user, tier), "checkQuotaStatus")
        assert status["quotaUsed"] == 1500


@BOTH
async def test_what_happened_is_booked_also_where_nobody_can_pay_for_all_of_it(sending: Any) -> None:
    tiers = {
        "poor": {"policy": "allowance", "monthly_token_quota": 2000},
        "over": {"policy": "allowance", "monthly_token_quota": 2000, "overage": {"price_usd_per_million": "1000"}},
        "credits": {"policy": "credits"},
    }
    async with sending(tiers=tiers, charging={"default_tier": "poor"}) as sender:
        for user, tier in {"p": "poor", "o": "over", "c": "credits"}.items():
            await sender.subscribe(user, tier)
        await sender.admin("grantCredits", {"userId": "c", "amount": "0.3"})
        told = [event(f"{user}{n}", user) for user in "poc" for n in range(3)]
        assert (await sender.tell(*told))["accepted"] == 9
        quota = await sender.product.call(sender.product.token("p", "poor"), "checkQuotaStatus")
        assert quota["quotaUsed"] == 4500  # past the limit, and counted
        assert await sender.balance("c") == 0
        owed = await sender.admin("getTransactions", {"userId": "o", "asset": "USD"})
        assert sorted(moved["amount"] for moved in owed["data"]) == ["-1.5", "-1.5"]  # two of three were past the quota
        rows = await sender.history("c")
        assert sorted(row.get("charged", "0") for row in rows) == ["0", "0.1", "0.2"]


@BOTH
async def test_one_identity_bills_once_whatever_its_time_key_or_neighbours(sender: Sender) -> None:
    first = event("same", idempotency_key="k1")
    assert (await sender.one(first))["status"] == "accepted"
    for again in (first, {**first, "timestamp": iso(days=9)}, event("same"), event("same", idempotency_key="k2")):
        assert (await sender.one(again))["status"] == "duplicate"
    assert (await sender.one(event("other", idempotency_key="k1")))["status"] == "duplicate"
    refused = await sender.one(event("other", idempotency_key="k1", input_tokens=7))
    assert (refused["status"], refused["reason"]) == ("rejected", "idempotency_conflict")
    assert (await sender.one(event("same", source="elsewhere")))["status"] == "accepted"
    assert len(await sender.history()) == 2
    assert await sender.balance() == pytest.approx(999.6)


async def test_the_same_id_with_another_body_is_a_conflict_here_and_later(sender: Sender) -> None:
    answer = await sender.tell(event("a"), event("a", input_tokens=1), event("a"))
    assert [(one["status"], one.get("reason")) for one in answer["results"]] == [
        ("accepted", None),
        ("rejected", "event_conflict"),
        ("duplicate", None),
    ]
    assert (await sender.one(event("a", model="other")))["reason"] == "event_conflict"
    assert await sender.balance() == pytest.approx(999.8)


async def test_what_is_said_twice_far_apart_in_one_batch_counts_once(sender: Sender) -> None:
    told = [event(f"e{n}", "u3") for n in range(300)]
    changed = event("e0", "u3", input_tokens=1)
    answer = await sender.tell(*told, told[0], told[299], changed)
    assert (answer["accepted"], answer["duplicates"]) == (300, 2)
    assert answer["results"][302]["reason"] == "event_conflict"


@BOTH
async def test_many_at_once_with_the_same_ids_are_billed_once_each(sender: Sender) -> None:
    batches = [[event(f"e{n}") for n in range(start, start + 40)] for start in (0, 20, 0, 40)]
    answers = await asyncio.gather(*[sender.tell(*batch) for batch in batches])
    assert sum(answer["accepted"] for answer in answers) == 80
    assert sum(answer["duplicates"] for answer in answers) == 80
    assert len(await sender.history()) == 80
    assert await sender.balance() == pytest.approx(1000 - 80 * 0.2)


async def test_late_events_count_in_the_quota_of_their_own_period(sender: Sender) -> None:
    await sender.admin(
        "setQuota", {"userId": "u3", "resource": "tokens", "period": "daily", "limit": 10_000, "isHardLimit": False}
    )
    assert (await sender.tell(event("now", "u3"), event("late", "u3", timestamp=iso(days=2))))["accepted"] == 2
    quotas = (await sender.admin("getQuotaStatus", {"userId": "u3"}))["data"]
    today = next(one for one in quotas if one["period"] == "daily")
    assert (today["current"], today["limit"]) == (1500, 10_000)
    stamps = sorted(row["timestamp"] for row in await sender.history("u3"))
    assert datetime.fromisoformat(stamps[0]).date() < datetime.now(UTC).date()


async def test_times_beyond_the_bounds_are_refused_one_by_one(sender: Sender) -> None:
    answer = await sender.tell(
        event("a", timestamp=iso(hours=-1)), event("b", timestamp=iso(days=36)), event("c", timestamp=iso(days=34))
    )
    assert [one.get("reason") for one in answer["results"]] == ["timestamp_in_future", "timestamp_too_old", None]


async def test_only_those_with_the_scope_tell_of_usage_and_only_in_batches_that_fit(sender: Sender) -> None:
    product = sender.product
    params = {"events": [event()]}
    for token in (product.token("u1"), product.token("u1", role="viewer")):
        assert isinstance(await product.refused(token, "ingestEvents", params), Forbidden)
    assert isinstance(await product.refused("", "ingestEvents", params), Unauthenticated)
    service = product.token("backend", role="service")
    for wrong in ([], [event(str(n)) for n in range(1001)], {"a": 1}, "x"):
        assert isinstance(await product.refused(service, "ingestEvents", {"events": wrong}), InvalidParams)
    assert isinstance(await product.refused(service, "executeAIRequest", {"content": "x"}), Forbidden)
    assert (await sender.tell(*[event(str(n), "u3") for n in range(1000)]))["accepted"] == 1000


async def test_a_key_with_the_scope_tells_of_usage_and_only_those_with_it_make_one(start: Any) -> None:
    keys = {"secret": "a-secret-of-the-tests-0123456789-abcdefghij"}
    async with start(keys=keys, ingestion={"unknown_users": "accept"}) as product:
        wanted = {"name": "backend", "scopes": ["events:write"]}
        refused = await product.refused(product.token("u1"), "createApiKey", wanted)
        assert isinstance(refused, Forbidden)
        key = (await product.admin("createApiKey", wanted))["apiKey"]
        assert (await product.call(key, "ingestEvents", {"events": [event()]}))["accepted"] == 1
        for method, params in (("grantTokens", {"userId": "u1", "tokens": 5}), ("getTokenBalance", {})):
            assert isinstance(await product.refused(key, method, params), Forbidden)
        plain = (await product.call(product.token("u1"), "createApiKey", {"name": "plain"}))["apiKey"]
        assert isinstance(await product.refused(plain, "ingestEvents", {"events": [event()]}), Forbidden)


async def test_a_body_that_names_another_tenant_changes_nothing_about_whose_it_is(sender: Sender) -> None:
    assert (await sender.one(event("t", customer_id="another-tenant")))["status"] == "accepted"
    assert (await sender.one(event("t", customer_id="a-third-one")))["status"] == "duplicate"


async def test_beyond_the_events_that_may_be_under_way_batches_are_refused_and_later_taken(sending: Any) -> None:
    async with sending(ingestion={"in_flight_max": 100, "unknown_users": "accept"}) as sender:
        batches = [[event(f"{place}-{n}", f"u{place}") for n in range(60)] for place in range(3)]
        answers = await asyncio.gather(*[sender.tell(*batch) for batch in batches], return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Overloaded)]
        assert len(refused) == 2
        assert {(fault.slug, fault.retry_after_seconds) for fault in refused} == {("too_many_events", 1)}
        assert (await sender.tell(*batches[1]))["accepted"] == 60
        assert (await sender.tell(*[event(f"n{n}", "u") for n in range(150)]))[
            "accepted"
        ] == 150  # one alone may pass it


PREVIEWS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {
            "type": "image",
            "provider": "OPENAI",
            "model": "dall-e-3",
            "imageSize": "1024x1024",
            "quality": "hd",
            "count": 3,
        },
        {
            "event_type": "IMAGE_GENERATION",
            "provider": "OPENAI",
            "model": "dall-e-3",
            "image_size": "1024x1024",
            "quality": "hd",
            "image_count": 3,
        },
    ),
    (
        {"type": "custom", "unitType": "pages", "count": "2.5"},
        {"event_type": "CUSTOM", "unit_type": "pages", "quantity": "2.5"},
    ),
    ({"type": "api_call"}, {"event_type": "API_CALL"}),
    (
        {"provider": "OPENAI", "model": "gpt-4o", "inputTokens": 1001, "outputTokens": 7, "cachedInputTokens": 100},
        {
            "event_type": "TOKEN_USAGE",
            "provider": "OPENAI",
            "model": "gpt-4o",
            "input_tokens": 1001,
            "output_tokens": 7,
            "cached_input_tokens": 100,
        },
    ),
]


@pytest.mark.parametrize(("asked", "told"), PREVIEWS, ids=["image", "custom", "api_call", "text"])
async def test_a_preview_and_the_charge_agree_to_the_unit(
    sending: Any, asked: dict[str, Any], told: dict[str, Any]
) -> None:
    async with sending(**CREDITS) as sender:
        await sender.subscribe("u1", "credits")
        await sender.admin("grantCredits", {"userId": "u1", "amount": "1000"})
        token = sender.product.token("u1", "credits")
        preview = await sender.product.call(token, "calculateCost", asked)
        assert (await sender.one({"event_id": "e", "user_id": "u1", **told}))["status"] == "accepted"
        row = (await sender.history())[0]
        assert row["costExact"] == preview["costExact"]
        assert float(row.get("charged", "0")) == preview["credits"]
        assert row.get("priceVersion") == preview.get("priceVersion")


async def test_a_preview_of_what_nothing_prices_says_so(sender: Sender) -> None:
    token = sender.product.token("u1", "credits")
    for asked in ({"type": "image", "model": "dall-e-3"}, {"type": "custom", "unitType": "pages", "count": 1}):
        assert isinstance(await sender.product.refused(token, "calculateCost", asked), PriceUnknown)
    for asked in ({"type": "custom", "count": 1}, {"type": "video", "durationSeconds": -1}):
        assert isinstance(await sender.product.refused(token, "calculateCost", asked), InvalidParams)
