"""The writer lane: commands collected while the last commit ran share the next one. It knows nothing of their meaning."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from storage.errors import StorageUnavailable

# Any: the lane carries commands and outcomes of every kind and looks into none.

BATCH_MAX = 512
T = TypeVar("T")

Run = Callable[[Sequence[Any]], Sequence[object]]
"""One transaction: takes the commands, returns one outcome for each, or raises with nothing written."""


class Lane:
    """One thread that owns the writing connection. `submit` is for the loop that made the lane."""

    def __init__(self, run: Run, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._loop = loop
        self._queue: SimpleQueue[tuple[Any, asyncio.Future[Any]] | None] = SimpleQueue()
        self._is_open = True
        self._thread = threading.Thread(target=self._work, name="ledger-lane", daemon=True)
        self._thread.start()

    def submit(self, command: object) -> "asyncio.Future[Any]":
        """Queue a command; the future has its outcome once the commit is on disk. Raises: StorageUnavailable when closed."""
        if not self._is_open:
            raise StorageUnavailable("the store is closed")
        future = self._loop.create_future()
        self._queue.put((command, future))
        return future

    async def close(self) -> None:
        """Commit what is queued, then end the thread."""
        if self._is_open:
            self._is_open = False
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while True:
            batch, is_last = self._collect()
            if batch:
                outcomes = self._commit([command for command, _ in batch])
                self._deliver([future for _, future in batch], outcomes)
            if is_last:
                return

    def _collect(self) -> tuple[list[tuple[Any, asyncio.Future[Any]]], bool]:
        batch: list[tuple[Any, asyncio.Future[Any]]] = []
        item = self._queue.get()
        try:
            while item is not None:
                batch.append(item)
                if len(batch) == BATCH_MAX:
                    return batch, False
                item = self._queue.get_nowait()
        except Empty:
            return batch, False
        return batch, True

    def _commit(self, commands: list[Any]) -> Sequence[object]:
        try:
            return self._run(commands)
        except (sqlite3.OperationalError, MemoryError) as failed:
            return [unavailable(failed)] * len(commands)
        except Exception as broken:  # noqa: BLE001  # one command's mistake must neither end the lane nor harm its neighbours
            if len(commands) == 1:
                return [broken]
            return [self._commit([command])[0] for command in commands]

    def _deliver(self, futures: list["asyncio.Future[Any]"], outcomes: Sequence[object]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, futures, outcomes)
        except RuntimeError:  # the loop is closed: nobody waits any more, and what was committed stays committed
            return


def _resolve(futures: list["asyncio.Future[Any]"], outcomes: Sequence[object]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():  # its waiter has left
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def unavailable(failed: Exception) -> StorageUnavailable:
    """The fault of a database that is busy, full, read-only or broken; the cause stays for the log."""
    fault = StorageUnavailable("the database cannot write now; nothing was recorded, try again", retry_after_seconds=1)
    fault.__cause__ = failed
    return fault
