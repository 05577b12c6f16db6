"""What a caller hears who is too fast: which limit, and when to come back."""

import math
from typing import Final

from monetization.errors import RateLimited
from monetization.periods import iso
from storage.ephemeral.limiter import Refused, Resource

_SECOND_US: Final = 1_000_000
SLOT_SECONDS: Final = 1
"""When to ask again for a slot: a call of the caller's own must end first, and nobody knows when."""
_UNITS: Final[dict[Resource, str]] = {
    "requests": "requests a minute",
    "tokens": "tokens a minute",
    "concurrent": "calls at the same time",
}


def fault_of(refused: Refused, now_us: int) -> RateLimited:
    """The fault of a refusal, with the members that the documents name (S0-40): limit, resetTime, retryAfter.

    Who waits `retryAfter` seconds is admitted, unless calls come in between. For a slot it is a proposal. A limit of zero has
    neither member: waiting does not help.
    """
    resource, bound = refused.resource, refused.bound
    limit = {"requests": bound.requests, "tokens": bound.tokens, "concurrent": bound.concurrent}[resource]
    data: dict[str, object] = {"limit": limit, "resource": resource, "subject": bound.kind}
    what = f"{limit} {_UNITS[resource]} for this {bound.kind}"
    if not limit:
        return RateLimited(f"nothing is admitted: {what}; ask for more", data=data)
    wait_us = SLOT_SECONDS * _SECOND_US if refused.wait_us is None else refused.wait_us
    seconds = max(1, math.ceil(wait_us / _SECOND_US))
    data["resetTime"] = iso(-(-(now_us + wait_us) // _SECOND_US) * _SECOND_US)
    data["retryAfter"] = seconds
    return RateLimited(f"at most {what}; repeat in {seconds} s", retry_after_seconds=seconds, data=data)
