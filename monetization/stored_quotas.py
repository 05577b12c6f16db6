"""Quotas as directory documents: their members, and how they are read back. Nothing is stored and nothing counted here."""

from collections.abc import Mapping, Sequence
from typing import Final

from monetization.directory import Document, Profile
from monetization.periods import PERIODS, Period
from monetization.quotas import THRESHOLDS, Quota

QUOTA: Final = "quota"
"""Documents of this kind: owner the subject, key `OWNER/RESOURCE/PERIOD`."""


def key_of(owner: str, resource: str, period: Period) -> str:
    """The key of a quota's document: one for each owner, resource and period."""
    return f"{owner}/{resource}/{period}"


def members_of(quota: Quota) -> dict[str, object]:
    """The JSON of a quota's document."""
    return {
        "resource": quota.resource,
        "period": quota.period,
        "limit": quota.limit,
        "isHard": quota.is_hard,
        "thresholds": list(quota.thresholds),
    }


def quotas_of(profile: Profile, period_start_us: int | None) -> tuple[Quota, ...]:
    """The quotas of a profile's owner; what is no quota is left out. `period_start_us`: of the subscription's billing period."""
    found = (quota_from(document, period_start_us or 0) for document in profile.all(QUOTA))
    return tuple(quota for quota in found if quota is not None)


def quota_from(document: Document, anchor_us: int = 0) -> Quota | None:
    """The quota of a document; None for one that says none."""
    said: Mapping[str, object] = document.body
    resource, limit = said.get("resource"), said.get("limit")
    period = next((known for known in PERIODS if known == said.get("period")), None)
    if not isinstance(resource, str) or not isinstance(limit, int) or period is None:
        return None
    thresholds = said.get("thresholds")
    return Quota(
        subject=document.owner,
        resource=resource,
        period=period,
        limit=limit,
        is_hard=said.get("isHard") is not False,
        thresholds=_percents(thresholds) if isinstance(thresholds, Sequence) else THRESHOLDS,
        anchor_us=anchor_us if period == "billing_period" else 0,
    )


def _percents(said: Sequence[object]) -> tuple[int, ...]:
    return tuple(sorted({percent for percent in said if isinstance(percent, int)}))
