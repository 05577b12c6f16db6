"""Finishing what was begun: work that a caller who leaves cannot stop, and that a store which fails for a moment cannot lose."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import Final, TypeVar

from monetization.alarms import Alarms
from storage.errors import StorageUnavailable, StoreClosed

T = TypeVar("T")

PATIENCE_SECONDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2)
"""Waits between two attempts to write: about ten seconds, which outlasts a database that fails over."""
ARREARS_SECONDS: Final = 2.0
"""Between two attempts to write what outlasted that patience."""
ARREARS_MAX: Final = 10_000
"""Writes that may be in arrears; a hold whose call finds no room ends by itself, with what was noted last."""


async def until_done(work: "asyncio.Future[T]", patience: Alarms | None = None) -> asyncio.CancelledError | None:
    """Wait for work that runs by itself, cancelled or not. Returns the cancellation that the caller must pass on.

    With patience it may return before the work is done: when that has rung.
    It comes without its trace, which would hold this frame as the frame holds it; `again` is how it is passed on.
    What `asyncio.shield` in a loop would do, for a quarter of its price: every paid call waits here twice.
    """
    left: asyncio.CancelledError | None = None
    while not work.done():
        woken: asyncio.Future[None] = work.get_loop().create_future()
        wake = partial(_wake, woken)
        work.add_done_callback(wake)
        if patience is not None:
            patience.set(wake)
        try:
            await woken
        except asyncio.CancelledError as leaving:
            left = leaving.with_traceback(None)
            continue
        finally:
            if patience is not None:
                patience.clear(wake)
        if patience is not None:
            break
    return left


def again(left: asyncio.CancelledError) -> asyncio.CancelledError:
    """The same cancellation, to be raised where `left` is kept: what holds the trace that it is in waits for the collector."""
    return asyncio.CancelledError(*left.args)


def _wake(woken: "asyncio.Future[None]", work: object = None) -> None:
    del work
    if not woken.done():
        woken.set_result(None)


async def to_the_end(work: Awaitable[T]) -> tuple[T, asyncio.CancelledError | None]:
    """Run work once and to its end, cancelled or not. Returns its result, and the cancellation that the caller must pass on.

    Raises: what the work raises; a cancellation that came before that wins.
    """
    task = asyncio.ensure_future(work)
    return ended(task, await until_done(task))


def ended(work: "asyncio.Future[T]", left: asyncio.CancelledError | None) -> tuple[T, asyncio.CancelledError | None]:
    """What `to_the_end` returns of work that is done. Raises: as that."""
    if left is not None and (work.cancelled() or work.exception() is not None):
        raise again(left)
    return work.result(), left


async def insist(
    attempt: Callable[[bool], Awaitable[T]],
    *,
    waits_seconds: Iterable[float],
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


def within_seconds(waits_seconds: Sequence[float], monotonic: Callable[[], float]) -> Iterator[float]:
    """These waits, for as long as they and the attempts between them take no longer than the waits together.

    So a store that hangs is not waited for anew at every attempt: one more follows, and that is all.
    """
    end = monotonic() + sum(waits_seconds)
    for wait_seconds in waits_seconds:
        if monotonic() > end:
            return
        yield wait_seconds


class Arrears:
    """Writes for what was delivered while the store was away for longer than a caller waits. One per process.

    They are tried until the store is back, so that an outage makes nothing free; a hold that expired meanwhile is charged late.
    """

    def __init__(self, sleep_seconds: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._sleep_seconds = sleep_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def take(self, attempt: Callable[[], Awaitable[object]]) -> None:
        """Go on with a write that fails. It must be harmless to repeat."""
        if len(self._tasks) < ARREARS_MAX:
            task = asyncio.create_task(self._write(attempt), name="arrears")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write(self, attempt: Callable[[], Awaitable[object]]) -> None:
        await self._sleep_seconds(ARREARS_SECONDS)
        with suppress(StoreClosed):
            await insist(lambda _: attempt(), waits_seconds=repeat(ARREARS_SECONDS), sleep_seconds=self._sleep_seconds)

    async def close(self, seconds: float) -> None:
        """Wait at most so long for what is left, before the store closes."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
