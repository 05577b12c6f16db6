"""Usage and margin in parts: whose they are, what counts as revenue, and that the parts add up to the whole."""

from pathlib import Path

import pytest

from methods.errors import Forbidden, InvalidParams
from methods.paging import OFFSET_MAX, page_at
from monetization.charging.policies import DEFAULT, revenue_of
from storage.records.ledger import Page
from tests.methods.money.conftest import Start
from tests.methods.money.test_reports import CHARGING, row, seeded


async def test_who_may_read_everybodys_usage_gets_it_and_everybody_else_their_own(tmp_path: Path, start: Start) -> None:
    await seeded(
        tmp_path, [row(tokens=300, feature="chat"), row("bob", tokens=100), row("bob", days_ago=20, model="other")]
    )
    async with start(**CHARGING) as product:
        week = {"period": "last_7_days"}
        own = await product.call(product.token("ann"), "getUsageBreakdown", week)
        assert (own["summary"]["totalEvents"], own["byFeature"][0]["featureId"]) == (1, "chat")
        everybody = await product.admin("getUsageBreakdown", {})
        assert everybody["summary"]["totalEvents"] == 3
        assert [part.get("featureId") for part in everybody["byFeature"]] == [None, "chat"]
        assert [(part["model"], part["eventCount"]) for part in everybody["byProvider"]] == [
            ("simulator", 2),
            ("other", 1),
        ]
        assert sum(part["events"] for part in everybody["timeline"]) == 3
        bobs = await product.admin("getUsageBreakdown", {"userId": "bob", "groupBy": "month"})
        assert bobs["summary"]["totalEvents"] == 2
        assert len(bobs["timeline"]) <= 3, "thirty days are in three months where one of them is a February"
        refused = await product.refused(product.token("ann"), "getUsageBreakdown", {"userId": "bob"})
        assert isinstance(refused, Forbidden)


async def test_revenue_is_what_was_charged_and_own_keys_bring_and_cost_nothing(tmp_path: Path, start: Start) -> None:
    dollar = 10**9
    await seeded(
        tmp_path,
        [
            row(cost=dollar),  # an allowance: the cost with the platform's fee of a fifth
            row(cost=dollar, model="other", charge_amount=200, charge_asset="TOKEN"),
            row(cost=7 * dollar, caller_kind="byok", provider="anthropic", model="claude"),
        ],
        granted=1_000,
    )
    async with start(**CHARGING) as product:
        found = await product.admin("getMarginBreakdown", {})
        assert found["summary"] == {
            "totalRevenue": "2.4",
            "totalProviderCost": "2",
            "totalMargin": "0.4",
            "marginPercent": 16.67,
        }
        shown = [(part["model"], part["revenue"], part["margin"]) for part in found["byProvider"]]
        assert shown == [("other", "1.2", "0.2"), ("simulator", "1.2", "0.2"), ("claude", "0", "0")]


@pytest.mark.parametrize(
    ("asset", "amount", "worth"),
    [("CREDIT", 6_500_000_000, 65_000_000), ("USD", 5, 5), ("TOKEN", 99, 12), (None, 9, 0)],
)
def test_a_charge_is_worth_its_credits_its_dollars_or_its_cost_with_the_fee(
    asset: str | None, amount: int, worth: int
) -> None:
    assert revenue_of(DEFAULT, asset, amount, cost_nano=10, fee_nano=2) == worth


async def test_an_offset_is_walked_to_in_bounded_steps() -> None:
    seen: list[int] = []

    async def read(limit: int, cursor: str | None) -> Page[int]:
        seen.append(limit)
        begin = int(cursor or 0)
        rows = tuple(range(begin, min(begin + limit, 1_300)))
        return Page(rows, str(begin + limit) if begin + limit < 1_300 else None)

    assert (await page_at(read, 10, None, 1_205)).rows == tuple(range(1_205, 1_215))
    assert seen == [500, 500, 205, 10]
    assert (await page_at(read, 10, None, 1_300)).rows == ()
    assert (await page_at(read, 10, None, 0)).rows == (await page_at(read, 10, None, None)).rows
    with pytest.raises(InvalidParams, match="cursor"):
        await page_at(read, 10, None, OFFSET_MAX + 1)
    with pytest.raises(InvalidParams, match="not both"):
        await page_at(read, 10, "20", 1)
