"""The writer lane: commands collected while the last commit ran share the next one. It knows nothing of their meaning.

Statements run on the event loop, because they only reach memory and cost microseconds; the commit, which waits for the disk, runs
in a thread of its own. So no two threads ever compete for the interpreter: a second thread that evaluates and writes rows costs
the loop a switch at every system call (measured at 32 callers: 1.6 times the processor time of a whole call).
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Generator, Sequence
from queue import SimpleQueue
from typing import Any, Protocol

from storage.errors import StoreClosed
from storage.sql.waiting import Committed, fitting, resolve, unavailable, unheard

# Any: the lane carries commands and outcomes of every kind and looks into none.

COMMANDS_MAX = 128
"""Weight of one commit: what bounds how long whoever comes behind it waits."""
SHARED = 8
"""So many commands of one who tells of many weigh as one: they change the same rows, and the transaction pauses among them."""
ROUNDS_MAX = 16
"""Rounds of the loop that a commit is put off at most while each brings more commands to share it."""

Waiting = tuple[Any, "asyncio.Future[Any]", int]
"""A command, who waits for it, and its weight."""


class Transaction(Protocol):
    """One batch at a time: prepared, then committed and kept, or undone."""

    def prepare(self, commands: Sequence[Any]) -> Generator[None, None, Sequence[object]]:
        """Apply the commands in an open transaction: one outcome for each. It may pause. Raises: with everything undone."""
        ...

    def commit(self) -> None:
        """Make it durable. Raises: sqlite3.Error; nothing is kept until `keep`."""
        ...

    def keep(self) -> None:
        """The commit has returned."""
        ...

    def undo(self) -> None:
        """The commit has failed: forget what was prepared."""
        ...


class Lane:
    """Runs batches one after the other. `submit` is for the loop that made the lane."""

    def __init__(
        self, transaction: Transaction, loop: asyncio.AbstractEventLoop, committed: Committed = unheard
    ) -> None:
        self._transaction = transaction
        self._loop = loop
        self._committed = committed
        self._began = 0.0
        """The loop's time when the batch that is being committed began."""
        self._waiting: deque[Waiting] = deque()
        self._alone = 0
        """How many of the next commands are run one by one, since together they met an error that may be one's own."""
        self._is_open = True
        self._is_busy = False
        self._seen = self._rounds = 0
        """How many commands waited at the last look, and how often was looked since the last commit."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._to_commit: SimpleQueue[tuple[list[Waiting], Sequence[object]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._commit, name="ledger-commit", daemon=True)
        self._thread.start()

    def submit(self, command: object, weight: int = 1) -> "asyncio.Future[Any]":
        """Queue a command; the future has its outcome once the commit is on disk. Raises: StoreClosed.

        `weight`: how many commands it stands for in what one commit may hold.
        """
        if not self._is_open:
            raise StoreClosed("this process is leaving; repeat the call")
        future = self._loop.create_future()
        self._waiting.append((command, future, weight if weight == 1 else -(-weight // SHARED)))
        if not self._is_busy:
            self._is_busy = True
            self._idle.clear()
            self._collect_from(1)
        return future

    async def close(self) -> None:
        """Commit what is queued, then end the thread."""
        self._is_open = False
        await self._idle.wait()
        self._to_commit.put(None)
        await asyncio.to_thread(self._thread.join)

    def _collect_from(self, seen: int) -> None:
        self._seen, self._rounds = seen, 0
        self._loop.call_soon(self._collect)

    def _collect(self) -> None:
        """Begin once a round of the loop has brought nothing more, so that a loop with much to do commits seldom."""
        found = len(self._waiting)
        if self._seen < found < COMMANDS_MAX and self._rounds < ROUNDS_MAX and not self._alone:
            self._seen = found
            self._rounds += 1
            self._loop.call_soon(self._collect)
        else:
            self._begin()

    def _begin(self) -> None:
        while self._waiting:
            size = 1 if self._alone else fitting(self._waiting, COMMANDS_MAX)
            self._alone = max(0, self._alone - 1)
            batch = [self._waiting.popleft() for _ in range(size)]
            self._began = self._loop.time()
            if self._advance(batch, self._transaction.prepare([command for command, _, _ in batch])):
                return
        self._is_busy = False
        self._idle.set()

    def _advance(self, batch: list[Waiting], work: Generator[None, None, Sequence[object]]) -> bool:
        """Work until the next pause, or hand the batch on to be committed. False: it failed, and its waiters have heard."""
        try:
            next(work)
        except StopIteration as ended:
            self._to_commit.put((batch, ended.value))
        except (sqlite3.OperationalError, MemoryError) as failed:
            _tell(batch, [unavailable(failed)] * len(batch))
            return False
        except Exception as broken:  # noqa: BLE001  # one command's mistake must neither end the lane nor harm its neighbours
            self._separate(batch, broken)
            return False
        else:
            self._loop.call_soon(self._go_on, batch, work)
        return True

    def _go_on(self, batch: list[Waiting], work: Generator[None, None, Sequence[object]]) -> None:
        if not self._advance(batch, work):
            self._begin()

    def _separate(self, batch: list[Waiting], broken: Exception) -> None:
        if len(batch) == 1:
            _tell(batch, [broken])
            return
        self._waiting.extendleft(reversed(batch))
        self._alone = len(batch)

    def _commit(self) -> None:
        while (job := self._to_commit.get()) is not None:
            failed: Exception | None = None
            try:
                self._transaction.commit()
            except Exception as error:  # noqa: BLE001  # every waiter hears of it, whatever it was
                failed = error
            try:
                self._loop.call_soon_threadsafe(self._end, *job, failed)
            except RuntimeError:  # the loop is closed: nobody waits any more, and what was committed stays committed
                return

    def _end(self, batch: list[Waiting], outcomes: Sequence[object], failed: Exception | None) -> None:
        if failed is None:
            self._transaction.keep()
        else:
            self._transaction.undo()
            outcomes = [unavailable(failed)] * len(batch)
        self._committed(int((self._loop.time() - self._began) * 1_000_000))
        _tell(batch, outcomes)
        self._collect_from(len(self._waiting))


def _tell(batch: list[Waiting], outcomes: Sequence[object]) -> None:
    resolve([future for _, future, _ in batch], outcomes)
