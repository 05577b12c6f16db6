"""Finishing what was begun: work that a caller who leaves cannot stop, and that a store which fails for a moment cannot lose."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from storage.errors import StorageUnavailable

T = TypeVar("T")

PATIENCE_SECONDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2)
"""Waits between two attempts to write: about ten seconds, which outlasts a database that fails over."""


async def to_the_end(
    work: Coroutine[Any, Any, T],
) -> tuple[T, asyncio.CancelledError | None]:  # Any: nothing is sent in
    """Run work once and to its end, cancelled or not. Returns its result, and the cancellation that the caller must pass on.

    Raises: what the work raises; a cancellation that came before that wins.
    """
    task = asyncio.get_running_loop().create_task(work)
    left: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as leaving:
            left = leaving
        except BaseException:  # noqa: BLE001  # the work's own end, told below
            break
    if left is not None and (task.cancelled() or task.exception() is not None):
        raise left
    return task.result(), left


async def insist(
    attempt: Callable[[bool], Awaitable[T]],
    *,
    waits_seconds: Sequence[float],
    sleep_seconds: Callable[[float], Awaitable[object]],
) -> T:
    """Write again while the store is unavailable. `attempt` hears whether it is a repetition. Raises: StorageUnavailable."""
    is_again = False
    for wait_seconds in waits_seconds:
        try:
            return await attempt(is_again)
        except StorageUnavailable:
            await sleep_seconds(wait_seconds)
        is_again = True
    return await attempt(is_again)
