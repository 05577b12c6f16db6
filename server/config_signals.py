"""`[signals]` of the configuration file: what users and operators are told without asking. No other section."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from monetization.notices.rules import SignalRules
from server.config_values import Section
from storage.records.money import CREDIT, TOKEN

NANO = 10**9


class SignalSettings(Section):
    """`[signals]`. Zero turns a rule off."""

    enabled: bool = True
    every_seconds: Annotated[float, Field(ge=1, le=3_600)] = 60
    """Between two looks at balances, pace and errors; quota thresholds are told of within a second."""
    low_tokens: Annotated[int, Field(ge=0, le=2**53)] = 1_000
    """A balance of virtual tokens below it is told of."""
    low_credits: Annotated[Decimal, Field(ge=0, le=10**9, max_digits=18, decimal_places=9)] = Decimal(10)
    runout_days: Annotated[int, Field(ge=0, le=365)] = 3
    """A balance that lasts fewer whole days at the recent pace is told of."""
    unusual_factor: Annotated[int, Field(ge=0, le=1_000)] = 5
    """A day's tokens above so many of the user's own average days are told of."""
    unusual_tokens_min: Annotated[int, Field(ge=0, le=2**53)] = 50_000
    error_percent: Annotated[int, Field(ge=0, le=100)] = 10
    """Of the calls of five minutes: so many failures or more are told to operators."""
    errors_requests_min: Annotated[int, Field(ge=1, le=10**9)] = 20
    provider_percent: Annotated[int, Field(ge=0, le=100)] = 50
    provider_requests_min: Annotated[int, Field(ge=1, le=10**9)] = 10

    def rules(self) -> SignalRules:
        """In the words of the floors below."""
        return SignalRules(
            low={TOKEN: self.low_tokens, CREDIT: int(self.low_credits * NANO)},
            runout_days=self.runout_days,
            unusual_factor=self.unusual_factor,
            unusual_tokens_min=self.unusual_tokens_min,
            error_percent=self.error_percent,
            errors_requests_min=self.errors_requests_min,
            provider_percent=self.provider_percent,
            provider_requests_min=self.provider_requests_min,
        )
