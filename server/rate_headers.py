"""What is left of a caller's limits, as HTTP headers: `RateLimit` and `RateLimit-Policy`. No limit is decided here.

The fields follow draft-ietf-httpapi-ratelimit-headers-10: each is a list of quoted policy names; `q` is the quota, `w` the window
in seconds, `qu` the unit where it is not requests, `r` what is left, `t` the seconds until some of it comes back. Tokens are no
registered unit, so they are a policy of their own name. They speak of single calls: the fifty calls of a batch have no common
standing, each refused one tells its own in `error.data`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from storage.ephemeral.limiter import WINDOW_US, Bound, Standing

_WINDOW_SECONDS: Final = WINDOW_US // 1_000_000
_PLAIN: Final = frozenset({"user", "address"})
"""Whoever calls; limits of an organization or key carry its kind in their names."""
_POLICIES_KEPT: Final = 1024


def rate_headers(told: Sequence[Callable[[], Sequence[Standing]]]) -> list[tuple[bytes, bytes]]:
    """The headers of a call that was limited; none for one that was not."""
    if not told:
        return []
    policies: list[str] = []
    left: list[str] = []
    for standing in told[-1]():
        bound = standing.bound
        name, policy = _policy(bound.kind, bound.requests, bound.tokens, bound.concurrent)
        if policy:
            policies.append(policy)
            _add_left(left, name, bound, standing)
    if not policies:
        return []
    return [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", ", ".join(left).encode())]


@lru_cache(_POLICIES_KEPT)
def _policy(kind: str, requests: int | None, tokens: int | None, concurrent: int | None) -> tuple[str, str]:
    """How the names of a subject's policies begin, and its policies; of the same tier they are the same for everybody."""
    name = "" if kind in _PLAIN else f"{kind}-"
    items = []
    if requests is not None:
        items.append(f'"{name}requests";q={requests};w={_WINDOW_SECONDS}')
    if tokens is not None:
        items.append(f'"{name}tokens";q={tokens};w={_WINDOW_SECONDS}')
    if concurrent is not None:
        items.append(f'"{name}concurrent";q={concurrent};qu="concurrent-requests"')
    return name, ", ".join(items)


def _add_left(left: list[str], name: str, bound: Bound, standing: Standing) -> None:
    """What is left of each limit of one subject."""
    reset = f";t={-(-standing.reset_us // 1_000_000)}" if standing.reset_us else ""
    if bound.requests is not None:
        left.append(f'"{name}requests";r={max(0, bound.requests - standing.requests)}{reset}')
    if bound.tokens is not None:
        left.append(f'"{name}tokens";r={max(0, bound.tokens - standing.tokens)}{reset}')
    if bound.concurrent is not None:
        left.append(f'"{name}concurrent";r={max(0, bound.concurrent - standing.running)}')
