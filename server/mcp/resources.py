"""What agents can read of their user's standing: a table from addresses to the methods that answer them."""

from typing import Final, NamedTuple


class Standing(NamedTuple):
    """Something that can be read."""

    uri: str
    method: str
    title: str


RESOURCES: Final = (
    Standing("tollgate://usage", "getUsageStats", "Usage of this month"),
    Standing("tollgate://quotas", "getQuotaStatus", "Quotas and what is counted of them"),
    Standing("tollgate://balance/tokens", "getTokenBalance", "Balance of virtual tokens"),
    Standing("tollgate://balance/credits", "getCreditBalance", "Balance of credits"),
    Standing("tollgate://limits", "getRateLimitStatus", "What is left of the rate limits"),
)
BY_URI: Final = {standing.uri: standing for standing in RESOURCES}
