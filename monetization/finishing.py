"""Finishing what was begun: work that a caller who leaves cannot stop, and that a store which fails for a moment cannot lose."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from storage.errors import StorageUnavailable, StoreClosed

T = TypeVar("T")

PATIENCE_SECONDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2)
"""Waits between two attempts to write: about ten seconds, which outlasts a database that fails over."""


async def until_done(work: "asyncio.Future[T]") -> asyncio.CancelledError | None:
    """Wait for work that runs by itself, cancelled or not. Returns the cancellation that the caller must pass on.

    What `asyncio.shield` in a loop would do, for a quarter of its price: every paid call waits here twice.
    """
    left: asyncio.CancelledError | None = None
    while not work.done():
        woken: asyncio.Future[None] = work.get_loop().create_future()
        work.add_done_callback(partial(_wake, woken))
        try:
            await woken
        except asyncio.CancelledError as leaving:
            left = leaving
    return left


def _wake(woken: "asyncio.Future[None]", work: object) -> None:
    del work
    if not woken.done():
        woken.set_result(None)


async def to_the_end(work: Awaitable[T]) -> tuple[T, asyncio.CancelledError | None]:
    """Run work once and to its end, cancelled or not. Returns its result, and the cancellation that the caller must pass on.

    Raises: what the work raises; a cancellation that came before that wins.
    """
    task = asyncio.ensure_future(work)
    left = await until_done(task)
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
        except StoreClosed:
            raise  # it will not come back; the hold's expiry charges what was noted last
        except StorageUnavailable:
            await sleep_seconds(wait_seconds)
        is_again = True
    return await attempt(is_again)
