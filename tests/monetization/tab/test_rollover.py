"""A tier's thresholds and rollover in whole calls: told of with the settling, and carried over the end of the month once."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from monetization.errors import QuotaExceeded
from monetization.tiers import Tiers
from storage.ledger.marks import TOPIC
from tests.monetization.tab.world import DAY_US, TIERS, World, done

MONTH_SECONDS = 30 * DAY_US // 1_000_000


@pytest.fixture
def rolling(world: World) -> World:
    tiers = Tiers(
        [replace(tier, rollover_max_tokens=120, monthly_request_quota=None) for tier in TIERS], default="allowance"
    )
    return replace(world, quotes=replace(world.quotes, tiers=lambda: tiers))


async def use(world: World, calls: int) -> int | None:
    receipt = None
    for _ in range(calls):
        receipt = await world.run("allowance", done())
    assert receipt is not None
    return receipt.quota_remaining


async def test_what_a_month_leaves_is_used_in_the_next_and_no_more(rolling: World) -> None:
    assert await use(rolling, 2) == 900
    rolling.clock.advance(MONTH_SECONDS)
    assert await use(rolling, 1) == 1_000 + 120 - 50
    assert await use(rolling, 17) == 1_120 - 900
    await use(rolling, 2)
    with pytest.raises(QuotaExceeded) as refused:
        await use(rolling, 2)
    assert refused.value.data["quotaLimit"] == 1_120


async def test_calls_that_reach_a_threshold_leave_one_event_each(rolling: World, tmp_path: Path) -> None:
    await use(rolling, 18)
    with sqlite3.connect(tmp_path / "tollgate.db") as reader:
        told = [orjson.loads(row[0]) for row in reader.execute("SELECT payload FROM outbox WHERE topic=?", (TOPIC,))]
    reader.close()
    assert [(one["resource"], one["thresholdPercent"], one["quotaUsed"], one["quotaLimit"]) for one in told] == [
        ("tokens", 80, 800, 1_000)
    ]
