"""`[methods.NAME]` of the configuration file: what the operator asks of everybody who calls a method. No other section."""

from typing import Annotated

from pydantic import Field, model_validator

from server.config_values import Section

Word = Annotated[str, Field(min_length=1, max_length=100)]


class GateSettings(Section):
    """`[methods.NAME]`: what a caller's plan must have."""

    feature: Word | None = None
    """A feature that the tier or the credential includes."""
    tier: Word | None = None
    """The least tier, by `charging.tier_order`."""

    @model_validator(mode="after")
    def _says_something(self) -> "GateSettings":
        if self.feature is None and self.tier is None:
            raise ValueError("asks for nothing; give feature or tier, or remove it")
        return self
