"""`getRateLimitStatus`: where the caller stands with the limits of speed (S0-19). It takes nothing of any of them."""

from pydantic import Field

from methods.context import Context
from methods.errors import Overloaded
from methods.method import Access, Example, Method, NoParams, Result, Tool
from monetization.periods import iso
from storage.ephemeral.limiter import Standing


class WindowStatus(Result):
    """One limit of the last minute."""

    current: int = Field(description="Counted in the last minute; of tokens, what running calls may use at most.")
    limit: int | None = Field(None, description="Absent: not limited.")
    remaining: int | None = None
    reset_time: str | None = Field(
        None, description="When some of it comes back, ISO 8601. Absent: nothing is counted."
    )


class SlotStatus(Result):
    """Calls at the same time."""

    current: int
    limit: int | None = Field(None, description="Absent: not limited.")
    remaining: int | None = None


class SubjectStatus(Result):
    """Where one subject stands."""

    subject: str = Field(description="Whom it counts: 'user', 'organization', 'key' or 'address'.")
    requests: WindowStatus
    tokens: WindowStatus
    concurrent: SlotStatus


class RateLimitStatus(SubjectStatus):
    """Where the caller stands, and everybody else whom its calls count for."""

    tier: str
    window_seconds: int
    all: list[SubjectStatus] = Field(description="Every subject that a call must have room with, the caller first.")


async def get_rate_limit_status(context: Context, params: NoParams) -> RateLimitStatus:
    """What is left of the requests and tokens a minute and of the calls at the same time."""
    del params
    standings = await context.services.admission.look(context.caller)
    if standings is None:
        raise Overloaded(
            "the limits cannot be read now; repeat in a second", reason="limits_unavailable", retry_after_seconds=1
        )
    now_us = int(context.services.clock() * 1_000_000)
    found = [_status(standing, now_us) for standing in standings]
    own = found[0] if found else _UNLIMITED
    return RateLimitStatus(
        subject=own.subject,
        requests=own.requests,
        tokens=own.tokens,
        concurrent=own.concurrent,
        tier=context.caller.tier,
        window_seconds=60,
        all=found,
    )


def _status(standing: Standing, now_us: int) -> SubjectStatus:
    bound = standing.bound
    reset = iso(-(-(now_us + standing.reset_us) // 1_000_000) * 1_000_000) if standing.reset_us else None
    return SubjectStatus(
        subject=bound.kind,
        requests=_window(standing.requests, bound.requests, reset),
        tokens=_window(standing.tokens, bound.tokens, reset),
        concurrent=SlotStatus(
            current=standing.running, limit=bound.concurrent, remaining=_left(standing.running, bound.concurrent)
        ),
    )


def _window(current: int, limit: int | None, reset: str | None) -> WindowStatus:
    return WindowStatus(current=current, limit=limit, remaining=_left(current, limit), reset_time=reset)


def _left(current: int, limit: int | None) -> int | None:
    return None if limit is None else max(0, limit - current)


_UNLIMITED = SubjectStatus(
    subject="user", requests=WindowStatus(current=0), tokens=WindowStatus(current=0), concurrent=SlotStatus(current=0)
)
"""An operator's."""

METHODS = (
    Method(
        "getRateLimitStatus",
        get_rate_limit_status,
        scope="account:read",
        tool=Tool("What is left of the rate limits"),
        access=Access.OPTIONAL,
        faults=(Overloaded,),
        examples=(
            Example(
                "nothing used yet",
                {},
                {
                    "subject": "user",
                    "requests": {"current": 0, "limit": 60, "remaining": 60},
                    "tokens": {"current": 0, "limit": 20000, "remaining": 20000},
                    "concurrent": {"current": 0, "limit": 5, "remaining": 5},
                    "tier": "starter",
                    "windowSeconds": 60,
                    "all": [],
                },
            ),
        ),
    ),
)
