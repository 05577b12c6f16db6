"""Notices: every type there is, how urgent it is, and what it says. Pure.

Types: the union of the documents' (S3-06, R26) and of what is watched here. A notice is named by whom it is for, its type, what
it is about and the period it belongs to, so that it is told once in that period, whoever sees it first.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Final, Literal, get_args

from storage.records.fact import fact

NoticeType = Literal[
    "quota_warning",
    "quota_exceeded",
    "payment_failed",
    "payment_success",
    "subscription_expiring",
    "subscription_expired",
    "trial_ending",
    "invoice_due",
    "token_low",
    "credits_low",
    "balance_exhausted",
    "fallback_to_byok",
    "one_time_consumed",
    "runout_forecast",
    "unusual_usage",
    "error_rate",
    "provider_failure",
]
TYPES: Final[tuple[NoticeType, ...]] = get_args(NoticeType)
Priority = Literal["low", "normal", "high", "urgent"]

PRIORITIES: Final[Mapping[NoticeType, Priority]] = {
    "quota_warning": "normal",
    "quota_exceeded": "high",
    "payment_failed": "urgent",
    "payment_success": "low",
    "subscription_expiring": "normal",
    "subscription_expired": "urgent",
    "trial_ending": "normal",
    "invoice_due": "normal",
    "token_low": "high",
    "credits_low": "high",
    "balance_exhausted": "urgent",
    "fallback_to_byok": "normal",
    "one_time_consumed": "normal",
    "runout_forecast": "normal",
    "unusual_usage": "high",
    "error_rate": "urgent",
    "provider_failure": "urgent",
}
OPERATOR: Final = "operator"
"""Whom notices about the installation are for."""


@fact
class Notice:
    """Something to tell."""

    owner: str
    """`user:ID`, `org:ID` or `operator`."""
    type: NoticeType
    about: str
    """What it is about, within its type: an asset, a quota, a provider."""
    period_us: int
    """When the period began in which it is told once, in Unix microseconds."""
    message: str
    """One sentence that says what happened and what to do."""
    data: Mapping[str, object] = field(default_factory=dict)

    @property
    def priority(self) -> Priority:
        """How urgent it is."""
        return PRIORITIES[self.type]

    @property
    def id(self) -> str:
        """What it is marked as read by: its place among its owner's."""
        return f"{self.period_us}.{self.type}.{self.about}"


def title_of(kind: NoticeType) -> str:
    """The type as a heading."""
    return kind.replace("_", " ").capitalize()
