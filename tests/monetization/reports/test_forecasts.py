"""Forecasts: the last week's pace, carried on; never a guess where nothing was used."""

from hypothesis import given
from hypothesis import strategies as st

from monetization.reports.forecasts import HORIZON_DAYS, Pace, at_end, gone_us, in_days, pace_of
from monetization.reports.ranges import DAY_US

NOW = 1_767_225_600_000_000
USES = st.lists(st.integers(0, 10**12), max_size=30)


def test_the_pace_is_that_of_the_last_week() -> None:
    pace = pace_of([100] * 16 + [7] * 7 + [14] * 7)
    assert (pace.per_day, pace.change_percent) == (14, 100)


def test_days_before_the_first_use_do_not_slow_the_pace() -> None:
    assert pace_of([0] * 27 + [30, 0, 60]) == Pace(90, 3)
    assert pace_of([0] * 27 + [30, 0, 60]).per_day == 30
    assert pace_of([0] * 29 + [5]).change_percent is None


def test_who_never_used_anything_runs_out_of_nothing() -> None:
    for never in ([], [0] * 30):
        pace = pace_of(never)
        assert (pace.per_day, in_days(10, pace), gone_us(10, pace, NOW), at_end(3, pace, DAY_US)) == (0, None, None, 3)


def test_a_balance_is_gone_when_the_pace_has_eaten_it() -> None:
    pace = Pace(used=70, days=7)
    assert in_days(25, pace) == 2
    assert gone_us(25, pace, NOW) == NOW + 5 * DAY_US // 2
    assert in_days(0, pace) == in_days(-5, pace) == 0
    assert gone_us(-5, pace, NOW) == NOW


def test_what_is_gone_stays_gone_when_it_is_used_no_more() -> None:
    """Who has used up a month's tokens by its third week is refused, and a week later has no pace."""
    pace = pace_of([50] * 20 + [0] * 10)
    assert (pace.used, in_days(0, pace), gone_us(0, pace, NOW)) == (0, 0, NOW)
    assert (in_days(1, pace), gone_us(1, pace, NOW)) == (None, None)


def test_what_lasts_for_ten_years_is_not_foretold() -> None:
    assert in_days(10 * HORIZON_DAYS, Pace(70, 7)) == HORIZON_DAYS
    assert in_days(10 * (HORIZON_DAYS + 1), Pace(70, 7)) is None


def test_nine_tenths_of_a_month_foretell_the_rest() -> None:
    """R9's own sample: 4.5 of 5 million tokens after 27 of 30 days come to 5 million, $18.50 to $20.55."""
    assert at_end(4_500_000, Pace(7 * 166_667, 7), 3 * DAY_US) == 5_000_001
    spent = 18_500_000_000
    assert at_end(spent, Pace(spent * 7 // 27, 7), 3 * DAY_US) // 10_000_000 == 2055


@given(USES, st.integers(0, 10**15))
def test_whatever_was_used_the_balance_is_gone_neither_before_nor_long_after_the_days_it_lasts(
    days: list[int], left: int
) -> None:
    pace = pace_of(days)
    lasts, gone = in_days(left, pace), gone_us(left, pace, NOW)
    assert (lasts is None) == (gone is None)
    if lasts is not None and gone is not None:
        assert lasts * DAY_US <= gone - NOW < (lasts + 1) * DAY_US
    assert 0 <= pace.days <= 7
    assert pace.used <= sum(days)


def test_a_change_is_told_to_the_nearest_percent_and_a_tiny_fall_is_none() -> None:
    assert [Pace(used, 7, 1_000).change_percent for used in (999, 996, 994, 1_000, 1_006, 0)] == [0, 0, -1, 0, 1, -100]
    assert (Pace(5, 7, 0).change_percent, Pace(5, 7).change_percent) == (None, None)
