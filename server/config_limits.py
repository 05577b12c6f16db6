"""`[limits]` of the configuration file: how fast callers without a tier may be, and what counts them. No other section."""

from typing import Annotated, Literal

from pydantic import Field

from server.config_sections import Positive
from server.config_values import Section


class LimitSettings(Section):
    """Speed of callers without a tier."""

    rpm: Positive
    tpm: Positive
    concurrent: Positive


class LimitsSettings(Section):
    """`[limits]`."""

    byok: LimitSettings = LimitSettings(rpm=120, tpm=200_000, concurrent=10)
    anonymous: LimitSettings = LimitSettings(rpm=5, tpm=500, concurrent=1)
    key_checks_rpm: Positive = 6
    """How often a minute a user may have a provider asked about a kept key (`validateUserKey`)."""
    key_changes_rpm: Positive = 10
    """How often a minute a user may leave a provider key here (`storeUserKey`, `rotateUserKey`)."""
    when_store_is_down: Literal["open", "closed"] = "open"
    store_timeout_ms: Annotated[int, Field(ge=5, le=1_000)] = 40
    """For Redis to answer; then it counts as down."""
    lease_seconds: Annotated[int, Field(ge=1, le=3_600)] = 15
    """After which the slot of a call comes back whose process died."""
    key_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")] = "tollgate"
