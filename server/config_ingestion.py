"""`[ingestion]` of the configuration file: which events are taken, and what units cost that are no tokens. No other section."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal  # Any: TOML before it is checked

from pydantic import BeforeValidator, Field, model_validator

from server.config_values import Exact, Section

Days = Annotated[int, Field(ge=1, le=365)]
DEDUPE_DAYS_MIN = 35


class UnitPriceSettings(Section):
    """What one unit costs that is no token."""

    usd: Exact
    """Dollars; zero only where it is free."""
    tokens: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """Virtual tokens that it stands for, in tiers of that policy. None: their callers can only be told of what is free."""


def _table(value: Any) -> Any:
    return value if isinstance(value, Mapping | UnitPriceSettings) else {"usd": value}


class IngestionSettings(Section):
    """`[ingestion]`."""

    future_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300
    """How far an event's time may lie ahead of this server's clock."""
    late_days: Days = 35
    """How old an event may be."""
    dedupe_days: Annotated[int, Field(ge=DEDUPE_DAYS_MIN, le=3_650)] = 40
    """How long an event's identity is kept."""
    unknown_users: Literal["dead_letter", "accept"] = "dead_letter"
    in_flight_max: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Events under way in one process; beyond it batches are refused with -32010."""
    unit_prices: dict[
        Annotated[str, Field(min_length=1, max_length=300)], Annotated[UnitPriceSettings, BeforeValidator(_table)]
    ] = Field(default_factory=dict)
    """By model, size and quality, or by unit."""

    @model_validator(mode="after")
    def _is_remembered_for_longer_than_taken(self) -> "IngestionSettings":
        if self.dedupe_days <= self.late_days:
            raise ValueError(
                "dedupe_days must be above late_days, else an event could be told again after it was forgotten"
            )
        return self
