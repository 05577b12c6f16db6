"""Quotas that were set: each resets exactly at its documented instant, and stands in the place of the tier's or beside it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monetization.callers import Caller
from monetization.charging.policies import Charge
from monetization.funding import sources
from monetization.periods import PERIODS, Period, end_of, iso, kind_of, start_of, window_name
from monetization.quotas import Quota
from monetization.tiers import Tier

HOUR_US = 3_600_000_000
ANCHORS = ["2023-05-10T09:30:00", "2024-01-31T23:59:59", "2024-02-29T12:00:00", "2023-12-30T00:00:00"]


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@given(st.sampled_from(PERIODS), st.integers(0, 4_102_444_800), st.integers(0, 4_102_444_800))
def test_every_instant_lies_in_exactly_one_period_whatever_day_it_began_on(
    period: Period, at: int, anchor: int
) -> None:
    at_us, anchor_us = at * 1_000_000, anchor * 1_000_000
    start = start_of(period, at_us, anchor_us)
    end = end_of(window_name(period, anchor_us), start)
    assert kind_of(window_name(period, anchor_us)) == period
    assert start <= at_us
    assert start_of(period, start, anchor_us) == start
    if end is not None:
        assert at_us < end
        assert start_of(period, end, anchor_us) == end
        assert start_of(period, end - 1, anchor_us) == start


def hours(zone: str) -> Iterator[int]:
    """Every hour of three years as a clock in that zone sees it, with what the summer does to it."""
    at, end = datetime(2023, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    while at < end:
        yield int(at.astimezone(ZoneInfo(zone)).timestamp()) * 1_000_000
        at += timedelta(hours=1)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_in_three_years_every_period_resets_exactly_once_at_its_instant(zone: str) -> None:
    seen: dict[Period, list[int]] = {period: [] for period in PERIODS}
    for at_us in hours(zone):
        for period in PERIODS:
            start = start_of(period, at_us)
            if not seen[period] or seen[period][-1] != start:
                seen[period].append(start)
    assert {period: len(starts) for period, starts in seen.items()} == {
        "hourly": 26_328, "daily": 1_097, "monthly": 37, "billing_period": 37, "lifetime": 1,
    }  # fmt: skip
    for period in ("hourly", "daily", "monthly", "billing_period"):
        starts = seen[period]
        assert starts == sorted(set(starts))
        assert all(end_of(period, before) == after for before, after in pairwise(starts))
    assert us("2024-02-29T00:00:00") in seen["daily"]
    assert all(iso(start).endswith("-01T00:00:00Z") for start in seen["monthly"])


@pytest.mark.parametrize("anchor", ANCHORS)
def test_a_billing_period_begins_on_its_day_or_on_the_last_of_a_shorter_month(anchor: str) -> None:
    anchor_us, day, time = us(anchor), int(anchor[8:10]), anchor[11:]
    starts: list[int] = []
    for at_us in hours("UTC"):
        start = start_of("billing_period", at_us + HOUR_US - 1, anchor_us)
        if not starts or starts[-1] != start:
            starts.append(start)
    assert len(starts) in (37, 38)
    for start in starts:
        began = datetime.fromtimestamp(start // 1_000_000, tz=UTC)
        last = (began.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        assert (began.day, began.strftime("%H:%M:%S")) == (min(day, last.day), time)
    name = window_name("billing_period", anchor_us)
    assert [end_of(name, start) for start in starts[:-1]] == starts[1:]


def test_a_process_that_was_down_at_the_instant_counts_in_the_period_that_runs_when_it_is_back() -> None:
    quota = Quota("user:ada", "tokens", "billing_period", 10, anchor_us=us("2024-01-31T08:00:00"))
    before, after = quota.window(us("2024-02-29T07:59:59")), quota.window(us("2024-05-03T00:00:00"))
    assert (iso(before.start_us), iso(after.start_us)) == ("2024-01-31T08:00:00Z", "2024-04-30T08:00:00Z")
    assert end_of(after.period, after.start_us) == us("2024-05-31T08:00:00")


def claims(quotas: tuple[Quota, ...], policy: str = "allowance", **tier: int) -> list[list[tuple[str, object]]]:
    plan = Tier("t", "T", policy=policy, **tier)  # type: ignore[arg-type]  # one of the policies
    caller = Caller("byok" if policy == "byok" else "subscription", "ada", tier="t", quotas=quotas)
    quote = Charge(policy, tokens=100, cost_nano=0, fee_nano=0, asset="TOKEN", amount=0, fee_amount=0)  # type: ignore[arg-type]  # one of the policies
    return [
        [(f"{c.window.subject}/{c.window.resource}/{c.window.period}", c.limit) for c in source.claims]
        for source in sources(caller, plan, quote, now_us=us("2026-05-05T12:00:00"))
    ]


def test_a_quota_stands_in_the_place_of_the_tiers_own_and_binds_whatever_pays() -> None:
    found = claims((Quota("user:ada", "tokens", "monthly", 500),), monthly_token_quota=50)
    assert found == [
        [("user:ada/tokens/monthly", 500), ("user:ada/requests/monthly", None)],
        [("user:ada/requests/monthly", None), ("user:ada/tokens/monthly", 500)],
    ]


def test_several_quotas_of_the_user_and_the_organization_bind_together() -> None:
    several = (
        Quota("user:ada", "message", "daily", 5),
        Quota("org:acme", "tokens", "hourly", 7),
        Quota("org:acme", "vector_query", "daily", 9),
    )
    assert claims(several) == [
        [
            ("user:ada/tokens/monthly", None),
            ("user:ada/requests/monthly", None),
            ("user:ada/message/daily", 5),
            ("org:acme/tokens/hourly", 7),
        ]
    ]


def test_a_call_on_the_callers_own_key_uses_none_of_the_tokens_that_a_plan_counts() -> None:
    several = (Quota("user:ada", "tokens", "daily", 5), Quota("user:ada", "api_call", "daily", 7))
    [own] = claims(several, "byok")
    assert own[2:] == [("user:ada/api_call/daily", 7)]


def test_the_zones_of_operators_move_no_reset() -> None:
    there = datetime(2026, 5, 31, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert iso(start_of("monthly", int(there.timestamp()) * 1_000_000)) == "2026-06-01T00:00:00Z"
