"""The writer lane on PostgreSQL: commands collected while the last commit ran share the next one. No SQL, no meaning."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from storage.errors import StorageUnavailable, StoreClosed
from storage.sql.waiting import BATCH_MAX, Committed, fitting, resolve, unheard

# Any: the lane carries commands and outcomes of every kind and looks into none.

WAITING_MAX = 50_000
"""Commands that may wait; more are refused at once, because they would time out in the queue."""

Run = Callable[[Sequence[Any]], Awaitable[Sequence[object]]]
"""Takes the commands and returns one outcome for each; an exception among them is one waiter's own. It never raises."""


class Lane:
    """One task that commits batch after batch. It belongs to the loop that made it."""

    def __init__(self, run: Run, committed: Committed = unheard) -> None:
        self._run = run
        self._committed = committed
        self._waiting: list[tuple[Any, asyncio.Future[Any], int]] = []
        """Commands, who waits for them, and their weights."""
        self._wake = asyncio.Event()
        self._is_open = True
        self._task = asyncio.create_task(self._work(), name="ledger-lane")

    def submit(self, command: object, weight: int = 1) -> "asyncio.Future[Any]":
        """Queue a command; the future has its outcome once the commit is durable. Raises: StorageUnavailable.

        `weight`: how many commands it stands for in what one commit may hold.
        """
        if not self._is_open:
            raise StoreClosed("this process is leaving; repeat the call")
        if len(self._waiting) >= WAITING_MAX:
            raise StorageUnavailable("too many commands wait for the database; try again", retry_after_seconds=1)
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future, weight))
        self._wake.set()
        return future

    async def close(self) -> None:
        """Commit what is queued, then end."""
        self._is_open = False
        self._wake.set()
        await self._task

    async def _work(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._is_open or self._waiting:
            size = fitting(self._waiting, BATCH_MAX)
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            if batch:
                began = clock()
                outcomes = await self._run([command for command, _, _ in batch])
                self._committed(int((clock() - began) * 1_000_000))
                resolve([future for _, future, _ in batch], outcomes)
            else:
                self._wake.clear()
                await self._wake.wait()
