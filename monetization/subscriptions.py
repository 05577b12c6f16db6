"""Subscriptions and own limits as directory documents: their members, and how they are read back. Nothing is stored here."""

from collections.abc import Mapping
from typing import Final, Literal

from monetization.directory import Profile
from storage.records.fact import fact

SUBSCRIPTION: Final = "subscription"
"""Documents of this kind: key and owner the user (`user:ID`) or organization (`org:ID`) that subscribed."""
SUBSCRIBED: Final = "updateUserSubscription"
"""The act by which the audit names every change of a subscription."""
LIMITS: Final = "limits"
"""Documents of this kind: key and owner whom the figures are for; members of `FIGURES`."""
FIGURES: Final = ("rpm", "tpm", "concurrent", "monthlyTokens", "monthlyRequests")
"""What can be set for one user or organization in the place of what the tier says."""

Status = Literal["active", "trialing", "past_due", "suspended", "expired", "cancelled"]
STATUSES: Final[tuple[Status, ...]] = ("active", "trialing", "past_due", "suspended", "expired", "cancelled")
REFUSED: Final = frozenset({"suspended", "expired"})
"""A caller whose subscription is in one of these states is refused with -32003 until somebody pays."""
ENDED: Final = frozenset({"cancelled"})
"""A subscription that names no tier any more: the caller falls back to what the credential says."""


@fact
class Subscription:
    """What a user or an organization has subscribed to."""

    tier: str
    """As it was given; a tier that is gone since counts as the default one."""
    status: Status = "active"
    monthly_tokens: int | None = None
    """In the place of the tier's monthly token quota. None: the tier's."""
    period_start_us: int | None = None
    """When the billing period began that runs now or ran last, in Unix microseconds. None: calendar months."""

    def members(self) -> dict[str, object]:
        """The JSON of the document."""
        return {
            "tier": self.tier,
            "status": self.status,
            "monthlyTokens": self.monthly_tokens,
            "periodStartUs": self.period_start_us,
        }


def subscription_of(profile: Profile) -> Subscription | None:
    """The subscription of a profile's owner; None without one."""
    document = profile.one(SUBSCRIPTION)
    if document is None:
        return None
    said = document.body
    status = next((known for known in STATUSES if known == said.get("status")), None)
    return Subscription(
        tier=str(said.get("tier", "")),
        status=status or "suspended",  # a state that nobody knows serves nobody
        monthly_tokens=_whole(said.get("monthlyTokens")),
        period_start_us=_whole(said.get("periodStartUs")),
    )


def limits_of(profile: Profile) -> dict[str, int]:
    """The figures set for a profile's owner, by the names of `Caller.own_limits`."""
    document = profile.one(LIMITS)
    return {} if document is None else read_limits(document.body)


def read_limits(said: Mapping[str, object]) -> dict[str, int]:
    """Figures as they were set, by the names of `Caller.own_limits`; what is no figure is left out."""
    figures = {_snake(name): _whole(said.get(name)) for name in FIGURES}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _snake(name: str) -> str:
    return {"monthlyTokens": "monthly_tokens", "monthlyRequests": "monthly_requests"}.get(name, name)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
