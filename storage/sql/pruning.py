"""Deleting what has outlived its time: a few rows at a time, between the commits of others. Which rows, the readers say.

Transfers, lots and the chain are never deleted: every proof starts at the beginning. Of old parts of windows the sum stays.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from storage.records.commands import Forget

ROWS_MAX: Final = 100
"""Rows of each kind in one commit: a call that waits behind it waits a millisecond or two."""
ROUNDS_MAX: Final = 1_000
"""Commits of one run; what is left then is left for the next one."""
PAUSE_SECONDS: Final = 0.02
"""Between two of them."""
EVENTS_US: Final = 35 * 24 * 3600 * 1_000_000
"""How long a delivered event can be looked at."""
SLACK_US: Final = 3600 * 1_000_000
"""A call's charge is booked within this time of the end that its usage row names."""


async def prune(
    outlived: Callable[[], Awaitable[Forget]],
    submit: Callable[[Forget], Awaitable[object]],
    *,
    rounds: int = ROUNDS_MAX,
) -> int:
    """Delete until nothing is left that has outlived its time. Returns how many rows went. Raises: StorageUnavailable."""
    gone = 0
    for _ in range(rounds):
        forget = await outlived()
        found = len(forget.usage) + len(forget.keys) + len(forget.events) + len(forget.parts)
        if not found:
            break
        await submit(forget)
        gone += found
        await asyncio.sleep(PAUSE_SECONDS)
    return gone


def forgetting(
    usage: list[int],
    keys: list[tuple[str, str, str]],
    events: list[int],
    parts: Sequence[tuple[int, int]] = (),
    *,
    usage_before_us: int,
) -> Forget:
    """The command that deletes these rows."""
    before = usage_before_us + SLACK_US if usage else 0
    return Forget(
        usage=tuple(usage), usage_before_us=before, keys=tuple(keys), events=tuple(events), parts=tuple(parts)
    )
