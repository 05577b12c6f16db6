"""What is worth telling, rule by rule: at the edge on both sides, and never for too little."""

from typing import Any

import pytest

from monetization.notices.kinds import OPERATOR, PRIORITIES, TYPES, Notice, title_of
from monetization.notices.rules import DEFAULT_LOW, SignalRules, of_installation, of_threshold, of_user
from storage.records.reports import UsageSum
from storage.records.usage import Usage

RULES = SignalRules(low=DEFAULT_LOW)
DAY_US = 86_400_000_000
NOW = 1_767_225_600_000_000 + DAY_US // 2


def days(*tokens: int, charged: int = 0) -> list[UsageSum]:
    """Thirty days that end with these."""
    filled = (0,) * (30 - len(tokens)) + tokens
    return [UsageSum(usage=Usage(input=used), charged={"TOKEN": charged if used else 0}) for used in filled]


def told(**balances: int) -> list[str]:
    found = of_user(RULES, "ann", days(*(10,) * 7, charged=1_000), balances, NOW)
    return [notice.type for notice in found]


@pytest.mark.parametrize(
    ("balance", "said"),
    [(0, ["balance_exhausted"]), (-5, ["balance_exhausted"]), (999, ["token_low"]), (1_000, ["runout_forecast"]),
     (2_999, ["runout_forecast"]), (3_000, [])],
)  # fmt: skip
def test_a_balance_is_told_of_before_it_ends_and_when_it_has(balance: int, said: list[str]) -> None:
    assert told(TOKEN=balance) == said


def test_credits_are_low_by_their_own_measure() -> None:
    assert told(CREDIT=10 * 10**9 - 1) == ["credits_low"]
    assert told(CREDIT=10 * 10**9) == []  # nothing was used of them, so no end is in sight


@pytest.mark.parametrize(
    ("tokens", "is_unusual"),
    [
        ((20_000, 20_000, 20_000, 100_001), True),
        ((20_000, 20_000, 20_000, 100_000), False),
        ((20_000, 20_000, 100_001), False),  # two days are no pattern
        ((1_000, 1_000, 1_000, 49_999), False),  # too little to mind
        ((1_000, 0, 1_000, 0, 1_000, 50_000), True),  # days without use do not count
    ],
)
def test_use_far_from_a_users_own_is_unusual(tokens: tuple[int, ...], is_unusual: bool) -> None:  # noqa: FBT001
    found = [notice.type for notice in of_user(RULES, "ann", days(*tokens), {}, NOW)]
    assert found == (["unusual_usage"] if is_unusual else [])


def test_a_day_is_told_of_once() -> None:
    first, second = (next(of_user(RULES, "ann", days(), {"TOKEN": 0}, now)) for now in (NOW, NOW + DAY_US // 3))
    assert first.id == second.id
    assert next(of_user(RULES, "ann", days(), {"TOKEN": 0}, NOW + DAY_US)).id != first.id


def of_calls(requests: int, failed: int, **providers: tuple[int, int]) -> list[Notice]:
    parts = {name: UsageSum(requests=asked, failed=broken) for name, (asked, broken) in providers.items()}
    return list(of_installation(RULES, UsageSum(requests=requests, failed=failed), parts, 5, NOW))


def test_operators_hear_of_errors_and_of_the_provider_that_fails() -> None:
    assert of_calls(19, 19) == []
    assert of_calls(100, 9) == []
    (errors,) = of_calls(100, 10)
    assert (errors.owner, errors.type, errors.priority) == (OPERATOR, "error_rate", "urgent")
    found = of_calls(100, 2, openai=(10, 5), anthropic=(10, 4), google=(9, 9))
    assert [(notice.type, notice.about) for notice in found] == [("provider_failure", "openai")]
    assert "50 %" in found[0].message


def test_no_rule_is_left_when_all_are_off() -> None:
    off = SignalRules(low={}, runout_days=0, unusual_factor=0, error_percent=0, provider_percent=0)
    assert list(of_user(off, "ann", days(1, 1, 1, 10**9, charged=5), {"TOKEN": 1}, NOW)) == []
    assert (
        list(of_installation(off, UsageSum(requests=99, failed=99), {"a": UsageSum(requests=99, failed=99)}, 5, NOW))
        == []
    )


def payload(**more: Any) -> dict[str, Any]:
    return {
        "type": "quota_warning", "subject": "user:ann", "resource": "tokens", "period": "monthly",
        "periodStart": "2026-01-01T00:00:00Z", "thresholdPercent": 80, "quotaUsed": 80, "quotaLimit": 100, **more,
    }  # fmt: skip


def test_a_threshold_is_put_into_words() -> None:
    notice = of_threshold(payload())
    assert notice is not None
    assert (notice.owner, notice.type, notice.period_us) == ("user:ann", "quota_warning", 1_767_225_600_000_000)
    assert notice.message == "80 of 100 tokens (monthly) are used, at least 80 % of the quota"
    over = of_threshold(payload(type="quota_exceeded", thresholdPercent=100, subject="org:acme"))
    assert over is not None
    assert (over.owner, over.type, over.priority) == ("org:acme", "quota_exceeded", "high")
    assert of_threshold(payload(subject="key:0123")) is None


def test_every_type_has_a_priority_and_a_heading() -> None:
    assert set(PRIORITIES) == set(TYPES)
    assert title_of("quota_warning") == "Quota warning"


def test_unusual_use_is_told_of_once_a_day_and_errors_once_an_hour() -> None:
    hour_us = DAY_US // 24
    failed = UsageSum(requests=100, failed=100)

    def ids(at_us: int) -> list[str]:
        errors = of_installation(RULES, failed, {"openai": failed}, 5, at_us)
        unusual = of_user(RULES, "ann", days(1_000, 1_000, 1_000, 900_000), {}, at_us)
        return [notice.id for notice in (*unusual, *errors)]

    first, soon, next_hour, next_day = (ids(NOW + later) for later in (0, hour_us - 1, hour_us, DAY_US))
    assert len(first) == len(set(first)) == 3
    assert first == soon
    assert [one == other for one, other in zip(first, next_hour, strict=True)] == [True, False, False]
    assert not set(first) & set(next_day)
