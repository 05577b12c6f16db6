"""Ranges: every zone's own clock divides them, also where it is changed; nothing falls between two buckets."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monetization.reports.ranges import (
    DAY_US,
    Interval,
    Range,
    TooManyBuckets,
    edges_of,
    last_days,
    local_iso,
    named,
    zone_of,
)

ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
LENGTHS: dict[Interval, int] = {"minute": 1, "hour": 3, "day": 40, "week": 300, "month": 900}
MIDNIGHTS_SKIPPED = ("America/Sao_Paulo", "Pacific/Apia")


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * 1_000_000


@given(
    st.sampled_from(ZONES),
    st.sampled_from(sorted(LENGTHS)),
    st.integers(us("2009-01-01T00:00:00+00:00"), us("2027-01-01T00:00:00+00:00")),
)
def test_buckets_follow_each_other_without_a_gap_and_begin_where_the_clock_is_round(
    name: str, interval: Interval, since_us: int
) -> None:
    zone, span = ZoneInfo(name), Range(since_us, since_us + LENGTHS[interval] * DAY_US)
    edges = edges_of(interval, span, zone)
    assert (edges[0], edges[-1]) == span.edges
    assert all(before < after for before, after in pairwise(edges))
    for edge in edges[1:-1]:
        shown = datetime.fromtimestamp(edge // 1_000_000, zone)
        assert shown.second == 0
        if interval == "hour":  # where the clock is changed by half an hour it may show half past
            assert shown.minute == 0 or name == "Australia/Lord_Howe"
        if interval in ("day", "week", "month") and name not in MIDNIGHTS_SKIPPED:
            assert (shown.hour, shown.minute) == (0, 0)
        if interval == "month":
            assert shown.day == 1
        if interval == "week" and name not in MIDNIGHTS_SKIPPED:
            assert shown.weekday() == 0


def test_a_day_of_summer_time_has_23_hours_and_one_of_its_end_25() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    march = Range(us("2026-03-28T00:00:00+01:00"), us("2026-03-31T00:00:00+02:00"))
    lengths = [(after - before) // 3_600_000_000 for before, after in pairwise(edges_of("day", march, berlin))]
    assert lengths == [24, 23, 24]
    october = Range(us("2026-10-24T00:00:00+02:00"), us("2026-10-27T00:00:00+01:00"))
    lengths = [(after - before) // 3_600_000_000 for before, after in pairwise(edges_of("day", october, berlin))]
    assert lengths == [24, 25, 24]
    assert len(edges_of("hour", october, berlin)) == 74


def test_hours_of_a_zone_with_three_quarters_begin_at_its_own_full_hours() -> None:
    kathmandu = ZoneInfo("Asia/Kathmandu")
    edges = edges_of("hour", Range(us("2026-01-01T00:00:00+00:00"), us("2026-01-01T02:00:00+00:00")), kathmandu)
    assert [local_iso(edge, kathmandu) for edge in edges] == [
        "2026-01-01T05:45:00+05:45",
        "2026-01-01T06:00:00+05:45",
        "2026-01-01T07:00:00+05:45",
        "2026-01-01T07:45:00+05:45",
    ]


def test_an_hour_lasts_half_or_one_and_a_half_where_the_clock_is_changed_by_half_an_hour() -> None:
    howe = ZoneInfo("Australia/Lord_Howe")
    spring = Range(us("2025-10-05T00:00:00+10:30"), us("2025-10-05T04:00:00+11:00"))
    assert [local_iso(edge, howe)[11:16] for edge in edges_of("hour", spring, howe)] == [
        "00:00", "01:00", "02:30", "03:00", "04:00",
    ]  # fmt: skip
    autumn = Range(us("2025-04-06T00:00:00+11:00"), us("2025-04-06T03:00:00+10:30"))
    lengths = [(after - before) // 60_000_000 for before, after in pairwise(edges_of("hour", autumn, howe))]
    assert lengths == [60, 90, 60]


def test_named_ranges_hold_this_instant() -> None:
    now = us("2026-03-10T12:00:00+00:00")
    month = named("current_month", now)
    assert month == Range(us("2026-03-01T00:00:00+00:00"), now + 1)
    assert named("last_7_days", now) == last_days(7, now) == Range(now + 1 - 7 * DAY_US, now + 1)
    assert named("last_30_days", now) == last_days(30, now)


def test_a_series_has_an_end() -> None:
    with pytest.raises(TooManyBuckets, match="minutes"):
        edges_of("minute", Range(0, 30 * DAY_US), ZoneInfo("UTC"))


OF_MACHINE = ["localtime", "posixrules", "Factory", "posix/Europe/Berlin", "right/UTC"]


@pytest.mark.parametrize(
    "name", ["Nowhere/Atlantis", "", "../../etc/passwd", "/etc/localtime", "Europe", "a\0b", *OF_MACHINE]
)
def test_a_name_that_is_no_zone_is_none(name: str) -> None:
    assert zone_of(name) is None
    assert zone_of("Europe/Berlin") is not None
