"""Reports where not all usage is tokens, or none is left: units beside them, whole prices in every list, and what is gone."""

from pathlib import Path
from typing import Any  # what a row is made of

from storage.records.usage import Usage
from tests.methods.money.conftest import Start
from tests.methods.money.test_reports import ASK, CHARGING, events, row, seeded


async def test_s3_14_and_s3_15_stats_and_series_tell_of_each_resource_type(tmp_path: Path, start: Start) -> None:
    pages: dict[str, Any] = {"usage": Usage(), "kind": "CUSTOM", "unit": "page", "provider": None, "model": None}
    await seeded(tmp_path, [
        row(tokens=100), row(tokens=50, provider="other"), row(quantity_nano=2_500_000_000, **pages),
        row(quantity_nano=10**9, **pages), row("bob", quantity_nano=10**9, **pages),
    ])  # fmt: skip
    async with start(**CHARGING) as product:
        token = product.token("ann", "allowance")
        found = await product.call(token, "getUsageStats", {"period": "last_7_days"})
        assert found["byResourceType"] == [
            {"resourceType": "page", "eventCount": 2, "totalQuantity": 3.5},
            {"resourceType": "token", "eventCount": 2, "totalQuantity": 150.0},
        ]
        assert found["totals"] == {"totalEvents": 4, "totalQuantity": 153.5}
        assert [share["provider"] for share in found["topProviders"]] == ["simulator", "other"]
        shouted = await product.call(token, "getUsageStats", {"period": "last_7_days", "provider": "SIMULATOR"})
        assert shouted["totalTokens"] == 100
        only = await product.call(token, "getUsageStats", {"period": "last_7_days", "resourceType": "PAGE"})
        assert (only["requestCount"], only["totals"]["totalQuantity"]) == (2, 3.5)
        tokens = await product.call(token, "getUsageStats", {"period": "last_7_days", "resourceType": "token"})
        assert (tokens["requestCount"], tokens["totals"]["totalQuantity"]) == (2, 150.0)
        asked = {"period": "last_7_days", "groupBy": "resourceType"}
        rows = (await product.call(token, "getUsageTimeSeries", asked))["data"]
        last = {part["resourceType"]: (part["eventCount"], part["totalQuantity"]) for part in rows[-2:]}
        assert last == {"page": (2, 3.5), "token": (2, 150.0)}


async def test_s0_12_a_row_has_the_request_and_its_whole_cost(tmp_path: Path, start: Start) -> None:
    await seeded(tmp_path, [row(cost=5_000), row(tokens=9, cost=None, caller_kind="byok")])
    async with start(**CHARGING) as product:
        token = product.token("ann", "allowance")
        priced, unpriced = sorted(await events(product, token), key=lambda event: "cost" not in event)
        assert (priced["cost"], priced["platformFee"], priced["totalCost"]) == (5e-06, 1e-06, 6e-06)
        assert priced["requestId"] == priced["eventId"]
        assert not {"cost", "platformFee", "totalCost"} & unpriced.keys()


async def test_no_text_model_is_recommended_for_what_is_no_text(tmp_path: Path, start: Start) -> None:
    """Images by the piece use no tokens, so any text model would do them for nothing."""
    drawn: dict[str, Any] = {"kind": "IMAGE_GENERATION", "unit": "image", "quantity_nano": 10**9, "usage": Usage()}
    painted: dict[str, Any] = {"kind": "IMAGE_GENERATION", "usage": Usage(input=10, image_output=1_000)}
    await seeded(tmp_path, [row(cost=80_000_000, **drawn), row(cost=40_000_000, **painted)])
    async with start(**CHARGING) as product:
        token = product.token("ann", "allowance")
        found = await product.call(token, "getRecommendations")
        assert (found["models"], found["potentialSaving"]) == ([], 0.0)
        assert found["currentSpend"] == 0.12
        await product.call(token, "executeAIRequest", ASK)
        (model,) = (await product.call(token, "getRecommendations"))["models"]
        assert (model["requests"], model["alternatives"][0]["model"]) == (1, "other"), "of that model, the text alone"


async def test_a_balance_that_was_used_up_a_while_ago_is_told_of_as_gone(tmp_path: Path, start: Start) -> None:
    """Whom everything is refused uses nothing, and is in no less need of more."""
    used = [row(days_ago=back + 0.5, charge_amount=100, charge_asset="TOKEN") for back in (9, 10, 11)]
    await seeded(tmp_path, used, granted=300)
    async with start() as product:
        found = await product.call(product.token("ann", "virtual_tokens"), "getBurnForecast")
        assert (found["currentBalance"], found["dailyAverage"], found["projectedRunout"]["daysRemaining"]) == (0, 0, 0)
        assert [advice["type"] for advice in found["recommendations"]] == ["urgent"]
