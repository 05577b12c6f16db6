"""One batch, one transaction, on the writing connection: load what is missing, evaluate, store what changed.

The engine owns the ledger's state: rows that it has touched stay in memory, so SQL mostly stores. That is safe because one
process writes the file, one batch at a time. After a failed commit everything in memory is forgotten.
"""

import sqlite3
from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import Final

from storage.ledger.chain import GENESIS
from storage.ledger.evaluate import Told, apply, count_of
from storage.ledger.needs import missing
from storage.ledger.state import Changes, State
from storage.sql.sqlite.directory import last_seq
from storage.sql.sqlite.loader import Loader
from storage.sql.sqlite.series import UsageWriter
from storage.sql.sqlite.writer import store
from storage.sql.waiting import unseen

ROWS_MAX = 20_000
"""Accounts, holds and windows kept in memory between batches."""
KEYS_MAX = 20_000
"""Idempotency keys and lots' business keys kept in memory, each."""
STRETCH: Final = 128
"""Commands that are evaluated at a stretch; a batch of more of them is also stored with pauses."""


class Engine:
    """Owns the writing connection and the ledger's state. Only the lane calls it, one batch at a time."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock_us: Callable[[], int],
        *,
        changed: Callable[[Changes], None] = unseen,
        rows_max: int = ROWS_MAX,
        usage: Callable[[sqlite3.Connection], UsageWriter] = UsageWriter,
    ) -> None:
        self._connection = connection
        self._clock_us = clock_us
        self._changed = changed
        self._rows_max = rows_max
        self._state = State()
        self._loader = Loader(connection, self._state)
        self._usage = usage(connection)
        self._last_hash = self._next_hash = GENESIS
        self._continue()

    def prepare(self, commands: Sequence[Told]) -> Generator[None, None, list[object]]:
        """Apply all commands in a transaction that stays open. It pauses in a long batch, so that others are served meanwhile.

        Nothing of it shows before `keep`: only the lane uses this connection. Raises: sqlite3.Error, with everything undone.
        """
        connection, state = self._connection, self._state
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._loader.load(missing(commands, state))
            state.begin(self._clock_us())
            outcomes, stretch, is_long = [], 0, False
            for command in commands:
                if stretch >= STRETCH:
                    stretch, is_long = 0, True
                    yield
                outcomes.append(apply(state, command))
                stretch += count_of(command)
            storing = store(connection, state, self._last_hash, self._usage)
            for self._next_hash in storing:
                if is_long:
                    yield
        except GeneratorExit:  # the loop has ended, and with it the process: nobody commits this
            raise
        except BaseException:
            self.undo()
            raise
        return outcomes

    def commit(self) -> None:
        """Make what was prepared durable. The only statement that waits for the disk. Raises: sqlite3.Error; then `undo`."""
        self._connection.execute("COMMIT")

    def keep(self) -> None:
        """What was prepared is on disk."""
        self._last_hash = self._next_hash
        self._changed(self._state.changes)
        self._state.end()
        self._evict()

    def undo(self) -> None:
        """Nothing was written: after a failed commit only the database knows what is true."""
        self._changed(self._state.changes)
        self._state.forget()
        self._usage.forget()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _continue(self) -> None:
        """Go on counting where the file ends."""
        state, one = self._state, self._one
        state.next_account_id = one("SELECT max(id) FROM account") + 1
        state.next_lot_id = one("SELECT max(id) FROM lot") + 1
        state.next_window_id = one("SELECT max(id) FROM quota_window") + 1
        last = max(one("SELECT max(id) FROM transfer"), one("SELECT max(transfer_id) FROM hold_window"))
        state.next_transfer_id = last // 2 * 2 + 2
        state.batch_id = one("SELECT max(id) FROM batch") + 1
        state.next_seq = last_seq(self._connection) + 1
        found = self._connection.execute("SELECT hash FROM batch WHERE id=?", (state.batch_id - 1,)).fetchone()
        if found is not None:
            self._last_hash = found[0]

    def _one(self, statement: str) -> int:
        (found,) = self._connection.execute(statement).fetchone()
        return int(found or 0)

    def _evict(self) -> None:
        state = self._state
        if len(state.accounts) + len(state.windows) + len(state.holds) > self._rows_max:
            state.forget()  # rows refer to one another, so all go together and come back one by one
        for keys in (state.idempotency, state.lot_keys):
            if len(keys) > KEYS_MAX:
                for key in list(islice(keys, KEYS_MAX // 2)):  # the oldest first
                    del keys[key]
