"""Thresholds of quotas: told of by an event in the commit that reaches them, each once in a window's life. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from storage.ledger.rows import Window
from storage.ledger.state import State
from storage.records.commands import Event

TOPIC: Final = "quota.threshold"
_WHOLE: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def tell(state: State, window: Window) -> None:
    """Write an event for every threshold that the window has reached since the last one; it was touched before."""
    for percent in window.marks:
        if percent > window.told and window.used >= window.reach(percent):
            window.told = percent
            state.changes.events.append((window.key.tenant, Event(TOPIC, _payload(window, percent, state.now_us))))
    window.aim()


def _payload(window: Window, percent: int, now_us: int) -> str:
    """`type` is the document's (S3-06): a warning below the limit, `quota_exceeded` from it on."""
    key = window.key
    told = {
        "type": "quota_warning" if percent < _WHOLE else "quota_exceeded",
        "subject": key.subject,
        "resource": key.resource,
        "period": key.period.partition(":")[0],
        "periodStart": _iso(key.start_us),
        "thresholdPercent": percent,
        "quotaUsed": window.used,
        "quotaLimit": (window.bound or 0) + (window.carried or 0),
        "occurredAt": _iso(now_us),
    }
    return orjson.dumps(told).decode()


def _iso(at_us: int) -> str:
    return (_EPOCH + timedelta(seconds=at_us // 1_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")
