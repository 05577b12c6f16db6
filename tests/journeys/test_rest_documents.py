"""The documents' own samples over REST, each under its id, with the arithmetic of R9 and R12 where theirs is wrong."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.server import serving
from tests.journeys.rest_client import Rest, papers

DAY = 86_400
PAGES = {"unit_type": "pages", "quantity": 5}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def paper(
    http: aiohttp.ClientSession, private_key: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rest]:
    folder = tmp_path_factory.mktemp("paper")
    with serving(papers(private_key), folder) as running:
        yield Rest(running, http, tier="professional")


def month() -> str:
    """When this one began."""
    return datetime.now(UTC).strftime("%Y-%m-01T00:00:00Z")


def at(days_ago: float = 0) -> str:
    return datetime.fromtimestamp(time.time() - days_ago * DAY, UTC).isoformat().replace("+00:00", "Z")


def event(user: str, number: object, model: str, went_in: int, came_out: int, **more: object) -> dict[str, object]:
    return {
        "event_id": f"{user}-{number}",
        "customer_id": "cust_abc",
        "user_id": user,
        "event_type": "TOKEN_USAGE",
        "feature_id": "legal-research",
        "provider": "OPENAI" if model.startswith("gpt") else "ANTHROPIC",
        "model": model,
        "input_tokens": went_in,
        "output_tokens": came_out,
        **more,
    }


async def ingested(paper: Rest, *events: dict[str, object]) -> Any:
    return await paper.good("POST", "/v1/events/ingest", {"events": list(events)})


async def credited(paper: Rest, user: str, amount: object, **more: object) -> None:
    await paper.good("POST", "/v1/credits/grant", {"userId": user, "amount": amount, **more})


async def test_s4_24_and_s4_25_450_requests_of_250_000_tokens_cost_450_of_1980_credits(paper: Rest) -> None:
    """$2.50 and $2.00 are the sample's own; the prices are such that its tokens cost that."""
    await credited(paper, "reader", 1980)
    openai = ((400, 200), (300, 150), (300, 150))
    anthropic = ((400, 400), (300, 300), (300, 300))
    events = [event("reader", f"o{n}", "gpt-4-turbo", *openai[n % 3]) for n in range(300)]
    events += [event("reader", f"a{n}", "claude-3-sonnet", *anthropic[n % 3]) for n in range(150)]
    assert (await ingested(paper, *events))["accepted"] == 450
    shown = paper.token("reader")
    assert await paper.good("GET", "/api/credits/balance", shown=shown) == {
        "success": True,
        "data": {
            "totalCredits": 1980,
            "usedCredits": 450,
            "remainingCredits": 1530,
            "tier": "professional",
            "monthlyTokensUsed": 250_000,
            "monthlyRequestsUsed": 450,
            "percentUsed": "22.73%",
        },
    }
    assert await paper.good("GET", "/api/credits/usage", shown=shown) == {
        "success": True,
        "data": {
            "month": month(),
            "totalTokens": 250_000,
            "totalRequests": 450,
            "totalCost": 4.5,
            "totalCredits": 450,
            "byProvider": {
                "openai": {"tokens": 150_000, "requests": 300, "cost": 2.5},
                "anthropic": {"tokens": 100_000, "requests": 150, "cost": 2.0},
            },
        },
    }


async def test_openmonetize_analytics_name_exactly_their_documented_members(paper: Rest) -> None:
    """Part 3.2: GET /v1/analytics/usage and /v1/analytics/costs; a credit is worth a cent here, so 2.5 credits are $0.025."""
    await credited(paper, "lawyer", 100)
    await ingested(
        paper,
        event("lawyer", 1, "gpt-4-turbo", 1000, 500),
        {"event_id": "lawyer-2", "user_id": "lawyer", "event_type": "CUSTOM", "feature_id": "scans", **PAGES},
    )
    answer = await paper.good("GET", "/v1/analytics/usage?user_id=lawyer&provider=OPENAI&customer_id=cust_abc")
    usage = answer["data"]
    assert set(answer) == {"data"}
    assert set(usage) == {"summary", "byFeature", "byProvider", "byEventType", "timeline"}
    whole = await paper.good("GET", "/v1/analytics/usage", shown=paper.token("lawyer"))
    assert whole["data"]["summary"] == {
        "totalEvents": 2,
        "totalInputTokens": "1000",
        "totalOutputTokens": "500",
        "totalCreditsBurned": "7.5",
        "totalCostUsd": "0.075",
    }
    assert whole["data"]["byFeature"] == [
        {"featureId": "scans", "eventCount": 1, "creditsBurned": "5", "costUsd": "0.05"},
        {"featureId": "legal-research", "eventCount": 1, "creditsBurned": "2.5", "costUsd": "0.025"},
    ]
    model = {"provider": "openai", "model": "gpt-4-turbo", "eventCount": 1}
    assert usage["byProvider"] == [{**model, "inputTokens": "1000", "outputTokens": "500"}]
    assert whole["data"]["byProvider"] == usage["byProvider"]
    kinds = {part["eventType"]: part["creditsBurned"] for part in whole["data"]["byEventType"]}
    assert kinds == {"TOKEN_USAGE": "2.5", "CUSTOM": "5"}
    last = whole["data"]["timeline"][-1]
    assert (set(last), last["events"], last["creditsBurned"]) == ({"date", "events", "creditsBurned"}, 2, "7.5")
    assert len(whole["data"]["timeline"]) in (30, 31)
    costs = await paper.good("GET", "/v1/analytics/costs?userId=lawyer")
    assert costs["data"]["summary"] == {
        "totalRevenue": "0.075",
        "totalProviderCost": "0.075",
        "totalMargin": "0",
        "marginPercent": 0,
    }
    assert set(costs["data"]) == {"summary", "byProvider"}
    assert set(costs["data"]["byProvider"][0]) == {"provider", "model", "providerCost", "revenue", "margin"}
    assert (await paper.send("GET", "/v1/analytics/costs", shown=paper.token("lawyer")))[0] == 403


async def test_openmonetize_burn_rate_projects_the_end_of_a_wallet(paper: Rest) -> None:
    """Part 3.2: GET /v1/analytics/burn-rate, whose original never projected one."""
    await credited(paper, "burner", 100)
    await ingested(paper, event("burner", 1, "gpt-4-turbo", 28_000, 14_000, timestamp=at(1.5)))
    rate = (await paper.good("GET", "/v1/analytics/burn-rate", shown=paper.token("burner")))["data"]
    assert (rate["currentBalance"], rate["last7Days"]) == ("30", {"creditsBurned": "70", "averagePerDay": "10"})
    assert rate["last30Days"]["creditsBurned"] == "70"
    assert set(rate) == {"currentBalance", "last7Days", "last30Days", "projectedRunout", "recommendations"}
    assert rate["projectedRunout"]["daysRemaining"] == 0
    assert rate["projectedRunout"]["estimatedRunoutDate"] > at()
    assert set(rate["recommendations"][0]) == {"type", "message", "action"}
    nobody = (await paper.good("GET", "/v1/analytics/burn-rate", shown=paper.token("newcomer")))["data"]
    assert nobody["projectedRunout"] == {"daysRemaining": None, "estimatedRunoutDate": None}


async def test_s4_27_and_s4_28_a_plan_and_ones_own_are_the_professional_one(paper: Rest) -> None:
    plan = (await paper.good("GET", "/api/credits/tier-details/professional", shown=""))["data"]
    limits = plan["limits"]
    assert (plan["name"], plan["price"]) == ("Professional", 99)
    assert plan["margin"] == {"apiCostToYou": 19.8, "yourPrice": 99, "profitMargin": "80%"}
    own = await paper.good("GET", "/api/credits/current-tier", shown=paper.token("reader"))
    assert (own["success"], own["data"]["tier"], own["data"]["limits"]) == (True, "professional", limits)
    shown = (limits["monthlyTokens"], limits["monthlyRequests"], limits["maxTokensPerRequest"])
    assert shown == (5_000_000, 10_000, 8_000)


async def test_s4_29_an_upgrade_names_the_page_where_it_is_bought(paper: Rest) -> None:
    answer = await paper.good("POST", "/api/credits/upgrade", {"tier": "professional"}, shown=paper.token("reader"))
    assert answer == {"success": True, "checkoutUrl": "https://checkout.example/pay", "tier": "professional"}


async def test_s4_30_a_plan_without_overage_owes_none(paper: Rest) -> None:
    answer = await paper.good("GET", "/api/credits/overage", shown=paper.token("frugal"))
    assert (answer["success"], answer["data"]["month"], answer["data"]["overageCharges"]) == (True, month(), 0)


async def test_s4_31_past_five_million_tokens_the_cheapest_plan_that_covers_them_is_enterprise(paper: Rest) -> None:
    """$18.50 as in the sample; R9: at $20.55 alone Professional would do, it is the tokens that ask for Enterprise."""
    await credited(paper, "writer", 1980)
    await ingested(
        paper,
        event("writer", 1, "claude-3-haiku", 1, 0, timestamp=at(20)),  # so that the pace is that of seven days
        event("writer", 2, "claude-3-haiku", 593_750, 4_506_250),
    )
    answer = await paper.good("GET", "/api/credits/recommendations", shown=paper.token("writer"))
    advice = answer["data"]
    assert (answer["success"], advice["currentTier"]) == (True, "professional")
    assert 18.5 <= advice["currentSpend"] < 18.51
    assert advice["projectedMonthlySpend"] >= advice["currentSpend"]
    if (
        advice["projectedMonthlySpend"] > 99.8
    ):  # in the first hours of a month of 31 days this pace passes every plan's price
        assert advice["action"] == "contact"
        return
    assert advice["action"] == "upgrade"
    assert (advice["recommendedTier"]["name"], advice["recommendedTier"]["price"]) == ("Enterprise", 499)
    assert advice["recommendedTier"]["limits"]["monthlyTokens"] == 50_000_000


@pytest.mark.parametrize(
    ("went_in", "came_out", "dollars", "charged"),
    [(1000, 500, 0.025, 2.5), (500, 1000, 0.035, 3.5)],
    ids=["s2_25 and s2_38", "r9: not 0.025"],
)
async def test_s2_25_a_preview_names_credits_dollars_and_margin(
    paper: Rest, went_in: int, came_out: int, dollars: float, charged: float
) -> None:
    asked = {"provider": "openai", "model": "gpt-4-turbo", "input_tokens": went_in, "output_tokens": came_out}
    found = await paper.good("POST", "/v1/rating/calculate", asked)
    assert (found["credits"], found["usd_cost"], found["margin_percent"]) == (charged, dollars, 0)
    upper = {**asked, "provider": "OPENAI"}
    assert await paper.good("POST", "/v1/rating/calculate", upper) == found


async def test_s2_26_the_samples_burn_table_charges_what_it_previews_and_names_the_margin(paper: Rest) -> None:
    """1.5 and 10 credits per 1000: 1000 in and 500 out are 6.5 credits, worth $0.065, of which the provider takes $0.025."""
    rules = {
        "gpt-4-turbo": {"input_tokens": 1.5, "output_tokens": 10.0, "per_unit": 1000},
        "claude-3.5-sonnet": {"input_tokens": 0.8, "output_tokens": 4.0, "per_unit": 1000},
    }
    status, made, _ = await paper.send("POST", "/v1/burn-tables", {"name": "Premium Tier Pricing", "rules": rules})
    table = made["data"]
    try:
        assert (status, table["name"], table["rules"]) == (201, "Premium Tier Pricing", rules)
        assert (await paper.good("GET", "/v1/burn-tables/active"))["data"]["id"] == table["id"]
        asked = {"model": "gpt-4-turbo", "input_tokens": 1000, "output_tokens": 500}
        found = await paper.good("POST", "/v1/rating/calculate", asked)
        shown = ("credits", "providerCostUsd", "revenueUsd", "marginUsd", "marginPercent")
        assert [found[name] for name in shown] == [6.5, 0.025, 0.065, 0.04, 61.54]
        many = await paper.good("POST", "/v1/rating/calculate/bulk", {"calculations": [asked, asked]})
        assert (many["results"], many["total"]) == ([found, found], 2)
        await credited(paper, "burned", 10)
        await ingested(paper, event("burned", 1, "gpt-4-turbo", 1000, 500))
        assert (await paper.good("GET", "/v1/users/burned/credits"))["data"]["exact"] == "3.5"
        costs = (await paper.good("GET", "/v1/analytics/costs?user_id=burned"))["data"]
        assert costs == {
            "summary": {
                "totalRevenue": "0.065",
                "totalProviderCost": "0.025",
                "totalMargin": "0.04",
                "marginPercent": 61.54,
            },
            "byProvider": [
                {
                    "provider": "openai",
                    "model": "gpt-4-turbo",
                    "providerCost": "0.025",
                    "revenue": "0.065",
                    "margin": "0.04",
                }
            ],
        }
    finally:
        assert (await paper.send("DELETE", f"/v1/burn-tables/{table['id']}"))[0] == 204


async def test_s2_33_a_resent_event_is_a_duplicate(paper: Rest) -> None:
    """S2-19's event, as the samples write it."""
    await credited(paper, "user_xyz", 10)
    sample = {
        "event_id": "evt_123",
        "customer_id": "cust_abc",
        "user_id": "user_xyz",
        "event_type": "TOKEN_USAGE",
        "feature_id": "legal-research",
        "provider": "OPENAI",
        "model": "gpt-4-turbo",
        "input_tokens": 500,
        "output_tokens": 100,
        "timestamp": at(),
    }
    status, first, _ = await paper.send("POST", "/v1/events/ingest", {"events": [sample]})
    assert (status, first["accepted"], first["rejected"], first["duplicates"]) == (202, 1, 0, 0)
    status, again, _ = await paper.send("POST", "/v1/events/ingest", {"events": [sample]})
    assert (status, again["duplicates"], again["status"]) == (200, 1, "all_duplicates")
    _, document, _ = await paper.send("GET", "/openapi.json", shown="")
    assert {"200", "202"} <= document["paths"]["/v1/events/ingest"]["post"]["responses"].keys()
    rows = (await paper.good("GET", "/v1/events?limit=10&offset=0", shown=paper.token("user_xyz")))["data"]
    assert [(row["eventId"], row["creditsBurned"], row["costUsd"]) for row in rows] == [("evt_123", "0.8", "0.008")]


async def test_s2_23_and_s2_34_a_check_says_what_it_would_cost_and_what_to_do(paper: Rest) -> None:
    asked = {
        "customer_id": "cust_abc",
        "user_id": "checked",
        "feature_id": "ai-text-generation",
        "action": {
            "type": "token_usage",
            "provider": "openai",
            "model": "gpt-4-turbo",
            "estimated_input_tokens": 1000,
            "estimated_output_tokens": 500,
        },
    }
    shown = paper.token("checked")
    poor = await paper.good("POST", "/v1/entitlements/check", asked, shown=shown)
    assert (poor["allowed"], poor["estimatedCostCredits"], poor["currentBalance"]) == (False, 2.5, "0")
    assert poor["actions"][0].keys() >= {"type", "label"}
    await credited(paper, "checked", 5)
    rich = await paper.good("POST", "/v1/entitlements/check", asked, shown=shown)
    assert (rich["allowed"], rich["currentBalance"], rich["actions"]) == (True, "5", [])


async def test_s2_35_to_s2_37_a_wallet_is_topped_up_and_burned(paper: Rest) -> None:
    ends = at(-30)[:19] + "Z"
    bought = {
        "user_id": "owner",
        "amount": 1000,
        "purchase_price": 10,
        "expires_at": ends,
        "idempotency_key": "order-1",
    }
    first = await paper.good("POST", "/v1/credits/purchase", bought)
    assert await paper.good("POST", "/v1/credits/purchase", bought) == first
    assert (first["data"]["newBalance"], first["data"]["transactionId"]) == (1000, "order-1")
    burned = await paper.good("POST", "/v1/credits/consume", {"userId": "owner", "amount": 25, "featureId": "export"})
    assert (burned["data"]["newBalance"], burned["data"]["amount"]) == (975, "25")
    wallet = await paper.good("GET", "/v1/customers/owner/credits")
    assert wallet == {
        "data": {"balance": 975, "reserved": 0, "available": 975, "exact": "975", "expiresAt": ends},
    }
    assert await paper.good("GET", "/v1/customers/cust_abc/users/owner/credits") == wallet


async def test_s2_39_the_prices_are_shown_by_any_path_and_case(paper: Rest) -> None:
    found = await paper.good("GET", "/v1/providers/pricing?provider=OPENAI&model=gpt-4-turbo", shown="")
    assert await paper.good("GET", "/v1/rating/pricing?provider=openai&model=gpt-4-turbo", shown="") == found
    (price,) = found["data"]
    assert (price["provider"], price["model"], found["total"]) == ("openai", "gpt-4-turbo", 1)
    assert price["pricing"]["input_token"] == {"costPerUnit": "10", "unitSize": 1_000_000, "currency": "USD"}
    assert price["pricing"]["output_token"]["costPerUnit"] == "30"


async def test_s2_20_and_s2_21_images_and_pages_are_rated_as_they_are_previewed(paper: Rest) -> None:
    await credited(paper, "painter", 100)
    image = {"image_size": "1024x1024", "quality": "hd", "model": "dall-e-3", "provider": "OPENAI"}
    preview = await paper.good("POST", "/v1/rating/calculate", {"type": "image", "count": 2, **image})
    assert (preview["credits"], preview["usd_cost"]) == (16, 0.16)
    common = {"customer_id": "cust_abc", "user_id": "painter"}
    await ingested(
        paper,
        {"event_id": "i", "event_type": "IMAGE_GENERATION", "feature_id": "art", "image_count": 2, **image, **common},
        {"event_id": "p", "event_type": "CUSTOM", "feature_id": "read", **PAGES, **common},
    )
    assert (await paper.good("GET", "/v1/users/painter/credits"))["data"]["exact"] == "79"


async def test_transactions_are_paged_by_offset_and_by_cursor_alike(paper: Rest) -> None:
    """Part 3.2: GET /v1/users/:userId/transactions `?limit&offset`."""
    for number in range(5):
        await credited(paper, "mover", number + 1)
    path = "/v1/users/mover/transactions"
    whole = await paper.good("GET", path)
    assert [row["amount"] for row in whole["data"]] == ["5", "4", "3", "2", "1"]
    members = {"id", "transactionType", "amount", "balanceBefore", "balanceAfter", "description", "createdAt"}
    assert members <= set(whole["data"][0])
    second = await paper.good("GET", f"{path}?limit=2&offset=2")
    assert second["data"] == whole["data"][2:4]
    assert (second["pagination"]["limit"], second["pagination"]["offset"]) == (2, 2)
    third = await paper.good("GET", f"{path}?limit=2&cursor={second['pagination']['nextCursor']}")
    assert (third["data"], third["pagination"]) == (whole["data"][4:], {"limit": 2})
    assert (await paper.good("GET", f"{path}?offset=5"))["data"] == []
    for wrong in (f"offset=1&cursor={second['pagination']['nextCursor']}", "offset=10001"):
        status, answer, _ = await paper.send("GET", f"{path}?{wrong}")
        assert (status, "cursor" in answer["message"]) == (400, True)


async def test_granted_credits_expire_when_they_are_said_to_and_only_ahead(paper: Rest) -> None:
    soon, later = at(-10)[:19] + "Z", at(-20)[:19] + "Z"
    granted = await paper.good("POST", "/v1/users/fleeting/credits", {"amount": "5", "expires_at": later})
    assert (granted["data"]["amount"], granted["data"]["expiresAt"]) == ("5", later)
    await paper.good("POST", "/v1/customers/cust_abc/users/fleeting/credits", {"amount": "5", "expiresAt": soon})
    await paper.good("POST", "/v1/customers/fleeting/credits", {"amount": "5"})
    wallet = (await paper.good("GET", "/v1/users/fleeting/credits"))["data"]
    assert (wallet["exact"], wallet["expiresAt"]) == ("15", soon)
    for wrong in (at(1), "2030-01-01T00:00:00", "tomorrow", 5):
        status, answer, _ = await paper.send("POST", "/v1/users/fleeting/credits", {"amount": 1, "expiresAt": wrong})
        assert (status, "expir" in answer["message"]) == (400, True), wrong
    own = await paper.send("POST", "/v1/users/fleeting/credits", {"amount": 1}, shown=paper.token("fleeting"))
    assert own[0] == 403
