"""`[abuse]` of the configuration file: who is blocked for a while, and for what. No other section."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from monetization.abuse import AbuseRules
from server.config_values import Section

PRIVATE = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
"""Where proxies and offices are: an address there stands for many callers."""
SECOND_US = 1_000_000


def _network(value: str) -> str:
    try:
        ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is no IP address or network; correct it") from None
    return value


class AbuseSettings(Section):
    """`[abuse]`."""

    enabled: bool = True
    window_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    failures_max: Annotated[int, Field(ge=0, le=10_000)] = 20
    """Different credentials that did not hold, from one address in the window. 0: nobody is blocked for it."""
    violations_max: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Calls of one user or address that were refused for speed in the window. 0: nobody is blocked for it.

    Off unless set: a refused call costs next to nothing, and whoever sends three times what was paid for must still get all of
    that; a block would take it away.
    """
    block_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)] = 900
    exempt_networks: tuple[Annotated[str, AfterValidator(_network)], ...] = PRIVATE

    def rules(self) -> AbuseRules:
        """In the words of the floors below."""
        if not self.enabled:
            return AbuseRules()
        return AbuseRules(
            failures_max=self.failures_max,
            violations_max=self.violations_max,
            window_us=self.window_seconds * SECOND_US,
            block_us=self.block_seconds * SECOND_US,
            exempt=self.exempt_networks,
        )
