"""What a writer lane tells those who wait: outcomes, and the faults of a database that cannot write. Common to all lanes."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from storage.errors import StorageUnavailable

BATCH_MAX = 512
"""Commands that share one commit at most."""


Committed = Callable[[int], None]
"""Hears how many microseconds a commit took, from its first statement until it was durable or had failed; on the lane's loop."""


def unseen(changes: object) -> None:
    """For engines whose changes nobody remembers."""
    del changes


def unheard(microseconds: int) -> None:
    """For lanes whose commits nobody counts."""
    del microseconds


def fitting(waiting: Iterable[tuple[object, object, int]], weight_max: int) -> int:
    """How many of those who wait fit into one commit by their weights, the third of each; whoever is first always does."""
    count = total = 0
    for _, _, weight in waiting:
        total += weight
        if count and total > weight_max:
            break
        count += 1
    return count


def resolve(futures: Sequence["asyncio.Future[Any]"], outcomes: Sequence[object]) -> None:
    """Give each waiter its outcome; an exception is raised where it waits. Called on the waiters' loop."""
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():  # its waiter has left
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def unavailable(failed: BaseException) -> StorageUnavailable:
    """The fault of a database that is away, busy, full, read-only or broken; the cause stays for the log."""
    fault = StorageUnavailable("the database cannot write now; nothing was recorded, try again", retry_after_seconds=1)
    fault.__cause__ = failed
    return fault


def unknown(failed: BaseException) -> StorageUnavailable:
    """The fault of a commit whose answer was lost and cannot be learned now."""
    fault = StorageUnavailable(
        "the database was lost during a commit; repeat the call with the same idempotency key", retry_after_seconds=1
    )
    fault.__cause__ = failed
    return fault
