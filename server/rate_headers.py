"""What is left of a caller's limits, as HTTP headers: `RateLimit` and `RateLimit-Policy`. No limit is decided here.

The fields follow draft-ietf-httpapi-ratelimit-headers-10: each is a list of quoted policy names; `q` is the quota, `w` the window
in seconds, `qu` the unit where it is not requests, `r` what is left, `t` the seconds until some of it comes back. Tokens are no
registered unit, so they are a policy of their own name. They speak of single calls: the fifty calls of a batch have no common
standing, each refused one tells its own in `error.data`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from storage.ephemeral.limiter import WINDOW_US, Standing

_WINDOW_SECONDS: Final = WINDOW_US // 1_000_000
_PLAIN: Final = frozenset({"user", "address"})
"""Whoever calls; limits of an organization or key carry its kind in their names."""


def rate_headers(told: Sequence[Callable[[], Sequence[Standing]]]) -> list[tuple[bytes, bytes]]:
    """The headers of a call that was limited; none for one that was not."""
    if not told:
        return []
    policies, left = [], []
    for standing in told[-1]():
        for policy, rest in _items(standing):
            policies.append(policy)
            left.append(rest)
    if not policies:
        return []
    return [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", ", ".join(left).encode())]


def _items(standing: Standing) -> Iterator[tuple[str, str]]:
    """Policy and rest of each limit of one subject."""
    bound = standing.bound
    name = "" if bound.kind in _PLAIN else f"{bound.kind}-"
    reset = f";t={-(-standing.reset_us // 1_000_000)}" if standing.reset_us else ""
    if bound.requests is not None:
        rest = max(0, bound.requests - standing.requests)
        yield f'"{name}requests";q={bound.requests};w={_WINDOW_SECONDS}', f'"{name}requests";r={rest}{reset}'
    if bound.tokens is not None:
        rest = max(0, bound.tokens - standing.tokens)
        yield f'"{name}tokens";q={bound.tokens};w={_WINDOW_SECONDS}', f'"{name}tokens";r={rest}{reset}'
    if bound.concurrent is not None:
        rest = max(0, bound.concurrent - standing.running)
        yield (
            f'"{name}concurrent";q={bound.concurrent};qu="concurrent-requests"',
            f'"{name}concurrent";r={rest}',
        )
