"""What is left of a caller's limits, as headers that any client of the draft can read."""

from server.rate_headers import rate_headers
from storage.ephemeral.limiter import Bound, Standing

USER = Standing(Bound("user", "{u}", 60, 20_000, 5), requests=1, tokens=21_000, running=1, reset_us=59_000_001)
TEAM = Standing(Bound("organization", "{o}", requests=600), requests=0, tokens=0, running=0, reset_us=0)


def test_each_limit_is_a_policy_with_what_is_left_and_never_less_than_nothing() -> None:
    assert rate_headers([lambda: (USER, TEAM)]) == [
        (
            b"ratelimit-policy",
            b", ".join(
                [
                    b'"requests";q=60;w=60',
                    b'"tokens";q=20000;w=60',
                    b'"concurrent";q=5;qu="concurrent-requests"',
                    b'"organization-requests";q=600;w=60',
                ]
            ),
        ),
        (
            b"ratelimit",
            b'"requests";r=59;t=60, "tokens";r=0;t=60, "concurrent";r=4, "organization-requests";r=600',
        ),
    ]


def test_a_call_that_is_not_limited_has_no_such_headers() -> None:
    assert rate_headers([]) == []
    assert rate_headers([lambda: (Standing(Bound("user", "{u}"), 5, 5, 1, 9),)]) == []
