"""What agents can read of their user's standing: a table from addresses to the methods that answer them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_NONE: Final[Mapping[str, object]] = MappingProxyType({})


class Standing(NamedTuple):
    """Something that can be read."""

    uri: str
    method: str
    title: str
    params: Mapping[str, object] = _NONE


RESOURCES: Final = (
    Standing("tollgate://usage", "getUsageStats", "Usage of this month", {"period": "current_month"}),
    Standing("tollgate://quotas", "getQuotaStatus", "Quotas and what is counted of them"),
    Standing("tollgate://balance/tokens", "getTokenBalance", "Balance of virtual tokens"),
    Standing("tollgate://balance/credits", "getCreditBalance", "Balance of credits"),
    Standing("tollgate://limits", "getRateLimitStatus", "What is left of the rate limits"),
)
BY_URI: Final = {standing.uri: standing for standing in RESOURCES}
