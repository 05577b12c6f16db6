"""Where use is going: against the time before, above the week before, and cheaper ways that the plan includes."""

from pathlib import Path

import pytest

from methods.errors import Forbidden
from tests.methods.money.conftest import Start
from tests.methods.money.test_reports import CHARGING, row, seeded


@pytest.mark.parametrize(
    ("now", "before", "trend", "percent"),
    [(111, 100, "rising", 11), (110, 100, "steady", 10), (90, 100, "steady", -10), (89, 100, "falling", -11),
     (5, None, "new", None), (None, 100, "falling", -100)],
)  # fmt: skip
async def test_a_week_is_set_beside_the_whole_week_before(
    tmp_path: Path, start: Start, now: int | None, before: int | None, trend: str, percent: int | None
) -> None:
    used = [row(days_ago=0.5, tokens=now)] if now else []
    used += [row(days_ago=13.5, tokens=before)] if before else []
    await seeded(tmp_path, [*used, row(days_ago=14.5, tokens=10**6)])
    async with start() as product:
        found = await product.call(product.token("ann", "allowance"), "getUsageTrends", {"days": 7})
        assert (found["trend"], found["changePercent"].get("tokens")) == (trend, percent)
        assert (found["current"]["totalTokens"], found["previous"]["totalTokens"]) == (now or 0, before or 0)


@pytest.mark.parametrize(("lately", "is_told"), [(151, True), (150, False)])
async def test_use_that_rose_by_more_than_half_is_told_of(
    tmp_path: Path,
    start: Start,
    lately: int,
    is_told: bool,  # noqa: FBT001  # of one case
) -> None:
    charged = ((0.5, lately), (13.5, 100))
    used = [row(days_ago=ago, charge_amount=taken, charge_asset="TOKEN") for ago, taken in charged]
    await seeded(tmp_path, used, granted=10**9)
    async with start() as product:
        found = await product.call(product.token("ann", "virtual_tokens"), "getBurnForecast")
        assert found["changePercent"] == lately - 100
        assert [advice["type"] for advice in found["recommendations"]] == ["alert"] * is_told


async def test_no_model_is_recommended_that_the_plan_does_not_include(tmp_path: Path, start: Start) -> None:
    tiers = {
        "no-other": {"policy": "allowance", "models": ["simulator"]},
        "nothing": {"policy": "allowance", "providers": ["elsewhere"]},
        "all": {"policy": "allowance"},
    }
    await seeded(tmp_path, [row(cost=10**12)])
    async with start(tiers=tiers, **CHARGING) as product:
        found = {}
        for tier in tiers:
            (model,) = (await product.call(product.token("ann", tier), "getRecommendations"))["models"]
            found[tier] = [other["model"] for other in model["alternatives"]]
        assert found == {"no-other": [], "nothing": [], "all": ["other"]}


async def test_a_member_reads_no_notices_of_the_organization(start: Start) -> None:
    async with start() as product:
        await product.admin("createOrganization", {"organizationId": "acme", "name": "Acme"})
        for user, role in (("ann", "member"), ("lead", "admin")):
            await product.admin("addMember", {"organizationId": "acme", "userId": user, "role": role})
        for method, more in (
            ("listNotifications", {}),
            ("getUnreadCount", {}),
            ("markNotificationRead", {"all": True}),
        ):
            asked = {"organizationId": "acme", **more}
            assert isinstance(await product.refused(product.token("ann"), method, asked), Forbidden), method
            await product.call(product.token("lead"), method, asked)
