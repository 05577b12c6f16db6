"""How many days a quota still lasts: at the pace of this month, of the last one too while this one is young, a year at most."""

from datetime import UTC, datetime

import pytest

from billing.accounts import credits_of
from monetization.directory import Directory
from monetization.quota_desk import QuotaDesk, Standing
from monetization.quotas import TOKENS, Quota
from monetization.refusals import Links
from monetization.tiers import Tiers
from storage.records.commands import Charge, Done
from storage.records.money import TOKEN
from storage.store import open_store
from tests.monetization.slow_store import Seconds

LIMIT = 50_000
QUOTA = Quota("user:ada", TOKENS, "monthly", LIMIT)


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("uses", "now", "days"),
    [
        ({}, "2024-01-20", None),
        ({"2024-01-09": 15_256}, "2024-01-11T01:55:00", 22),  # the document's own figures: 10.08 days, 34,744 left
        ({"2023-12-20": 40_000, "2024-01-09": 10_000}, "2024-01-11", 40),  # ten days of this month say enough
        ({"2023-12-20": 33_000, "2024-01-01": 1_000}, "2024-01-04", 49),  # three do not: 34,000 in 34 days
        ({"2023-12-20": 34_000}, "2024-01-04", 50),
        ({"2023-12-20": 34_000}, "2024-01-20", None),
        ({"2024-01-01": 50_000}, "2024-01-02", 0),
        ({"2024-01-01": 1}, "2024-01-20", 365),
        ({"2024-01-01": 10_000}, "2024-01-01T00:00:10", 4),  # less than a day counts as one
    ],
)
async def test_the_days_that_are_left_follow_from_recent_use(uses: dict[str, int], now: str, days: int | None) -> None:
    at_us = us("2023-12-01")

    def clock_us() -> int:
        return at_us

    async with open_store("sqlite://", clock_us=clock_us) as store:
        for when, tokens in uses.items():
            at_us = us(when)
            charge = Charge(account=credits_of("ada", TOKEN), amount=0, claims=(QUOTA.claim(tokens, at_us),))
            assert isinstance(await store.submit(charge), Done)
        at_us = us(now)
        directory = await Directory.opened(store, clock_us=clock_us, monotonic=Seconds())
        desk = QuotaDesk(store, directory, lambda: Tiers([], default="free"), Links(), clock_us)
        used = (await store.window(QUOTA.window(at_us))).used
        assert await desk.days_left(Standing(QUOTA, "user", used, 0, None)) == days
