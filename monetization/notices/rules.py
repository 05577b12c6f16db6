"""When somebody is told: balances that end, use that is far from a user's own, errors, providers that fail. Pure.

Quota thresholds are found in the commit that reaches them and are only put into words here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from monetization.notices.kinds import OPERATOR, Notice, NoticeType
from monetization.periods import iso, start_of
from monetization.reports.forecasts import gone_us, in_days, pace_of
from storage.records.fact import fact
from storage.records.money import CREDIT, TOKEN, to_text
from storage.records.reports import UsageSum

# Any: an event's payload is JSON of our own writing.

LOOK_BACK_DAYS: Final = 30
PATTERN_DAYS_MIN: Final = 3
"""Days with use before a user has a pattern that anything can be far from."""
_PERCENT: Final = 100


@fact
class SignalRules:
    """What is worth telling. Zero turns a rule off."""

    low: Mapping[str, int]
    """Asset → the balance below which its owner is told, in the asset's scale."""
    runout_days: int = 3
    unusual_factor: int = 5
    """A day's tokens against the user's own average day."""
    unusual_tokens_min: int = 50_000
    """A day below it is never unusual."""
    error_percent: int = 10
    errors_requests_min: int = 20
    """Fewer requests in the look-back are too few to judge by."""
    provider_percent: int = 50
    provider_requests_min: int = 10


DEFAULT_LOW: Final = {TOKEN: 1_000, CREDIT: 10 * 10**9}
_LOW: Final[Mapping[str, NoticeType]] = {TOKEN: "token_low", CREDIT: "credits_low"}


def of_user(
    rules: SignalRules, user_id: str, days: Sequence[UsageSum], balances: Mapping[str, int], now_us: int
) -> Iterator[Notice]:
    """What to tell a user. `days`: the last thirty times 24 hours; `balances`: what is left of each own asset that pays calls."""
    owner, today_us = f"user:{user_id}", start_of("daily", now_us)
    yield from of_balances(rules, owner, days, balances, now_us)
    unusual = _unusual(rules, [day.usage.tokens_total for day in days])
    if unusual is not None:
        used, average = unusual
        yield Notice(
            owner,
            "unusual_usage",
            "tokens",
            today_us,
            f"{used} tokens were used in the last 24 hours, against {average} on an ordinary day; "
            "if that was not you, revoke your keys",
            {"tokens": used, "averagePerDay": average},
        )


def of_balances(
    rules: SignalRules, owner: str, days: Sequence[UsageSum], balances: Mapping[str, int], now_us: int
) -> Iterator[Notice]:
    """What to tell a user or an organization about what is left to spend. `days`, `balances`: see `of_user`."""
    today_us = start_of("daily", now_us)
    for asset, left in balances.items():
        found = _of_balance(rules, asset, left, [day.charged.get(asset, 0) for day in days], now_us)
        if found is not None:
            kind, message, data = found
            yield Notice(owner, kind, asset, today_us, message, data)


def _of_balance(
    rules: SignalRules, asset: str, left: int, used: Sequence[int], now_us: int
) -> tuple[NoticeType, str, dict[str, object]] | None:
    data: dict[str, object] = {"asset": asset, "balance": to_text(left, asset)}
    if left <= 0:
        return "balance_exhausted", f"The {asset} balance is used up; buy more to go on", data
    if left < rules.low.get(asset, 0):
        return (
            _LOW.get(asset, "token_low"),
            f"The {asset} balance is down to {to_text(left, asset)}; buy more soon",
            data,
        )
    pace = pace_of(used)
    days, gone = in_days(left, pace), gone_us(left, pace, now_us)
    if days is None or gone is None or days >= rules.runout_days:
        return None
    data |= {"daysRemaining": days, "estimatedRunoutDate": iso(gone)}
    return (
        "runout_forecast",
        f"At the recent pace the {asset} balance lasts about {days} days more; buy more soon",
        data,
    )


def _unusual(rules: SignalRules, tokens: Sequence[int]) -> tuple[int, int] | None:
    """The last day and the average of those before with use, where the one is far beyond the other."""
    today, before = tokens[-1], [used for used in tokens[:-1] if used]
    if not rules.unusual_factor or today < rules.unusual_tokens_min or len(before) < PATTERN_DAYS_MIN:
        return None
    average = sum(before) // len(before)
    return (today, average) if today > rules.unusual_factor * average else None


def of_installation(
    rules: SignalRules, total: UsageSum, providers: Mapping[str, UsageSum], minutes: int, now_us: int
) -> Iterator[Notice]:
    """What to tell the operator about the last minutes."""
    hour_us = start_of("hourly", now_us)
    if _is_bad(total, rules.error_percent, rules.errors_requests_min):
        share = total.failed * _PERCENT // total.requests
        yield Notice(
            OPERATOR,
            "error_rate",
            "calls",
            hour_us,
            f"{share} % of {total.requests} calls failed in the last {minutes} minutes; look at the providers and the log",
            {"failed": total.failed, "requests": total.requests, "percent": share},
        )
    for name, found in sorted(providers.items()):
        if _is_bad(found, rules.provider_percent, rules.provider_requests_min):
            share = found.failed * _PERCENT // found.requests
            yield Notice(
                OPERATOR,
                "provider_failure",
                name,
                hour_us,
                f"{share} % of {found.requests} calls to {name} failed in the last {minutes} minutes; "
                "look at its status and credential, or route around it",
                {"provider": name, "failed": found.failed, "requests": found.requests, "percent": share},
            )


def _is_bad(found: UsageSum, percent: int, requests_min: int) -> bool:
    is_enough = bool(percent) and found.requests >= max(requests_min, 1)
    return is_enough and found.failed * _PERCENT >= percent * found.requests


def of_threshold(payload: Mapping[str, Any]) -> Notice | None:
    """The notice of a quota's threshold. None for a subject that reads no notices, such as a key."""
    subject = str(payload["subject"])
    if not subject.startswith(("user:", "org:")):
        return None
    resource, period, percent = payload["resource"], payload["period"], payload["thresholdPercent"]
    used, limit = payload["quotaUsed"], payload["quotaLimit"]
    is_over = payload["type"] == "quota_exceeded"
    return Notice(
        subject,
        "quota_exceeded" if is_over else "quota_warning",
        f"{resource}.{period}.{percent}",
        int(datetime.fromisoformat(payload["periodStart"]).timestamp()) * 1_000_000,
        f"{used} of {limit} {resource} ({period.replace('_', ' ')}) are used"
        + ("; the quota is reached" if is_over else f", at least {percent} % of the quota"),
        {name: payload[name] for name in payload if name not in ("type", "subject")},
    )
