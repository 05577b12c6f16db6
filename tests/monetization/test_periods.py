"""Periods are calendar ones in UTC: they touch without a gap, across month ends and leap days."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from monetization.periods import Period, end_of, iso, start_of

PERIODS: list[Period] = ["hourly", "daily", "monthly"]
INSTANTS = st.integers(0, 4_102_444_800_000_000)


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@given(st.sampled_from(PERIODS), INSTANTS)
def test_every_instant_lies_in_exactly_one_period(period: Period, at: int) -> None:
    start = start_of(period, at)
    end = end_of(period, start)
    assert end is not None
    assert start <= at < end
    assert start_of(period, start) == start
    assert start_of(period, end) == end
    assert start_of(period, end - 1) == start


def test_months_end_where_the_calendar_says() -> None:
    for month, following in (("2026-01", "2026-02-01"), ("2028-02", "2028-03-01"), ("2026-12", "2027-01-01")):
        assert end_of("monthly", us(f"{month}-01")) == us(following)
    assert start_of("monthly", us("2028-02-29T23:59:59")) == us("2028-02-01")
    assert start_of("monthly", us("2028-03-01")) == us("2028-03-01")


def test_a_lifetime_begins_at_zero_and_never_ends() -> None:
    assert start_of("lifetime", us("2026-05-05")) == 0
    assert end_of("lifetime", 0) is None


def test_instants_are_written_as_the_documents_write_them() -> None:
    assert iso(us("2024-02-01") + 999_999) == "2024-02-01T00:00:00Z"
