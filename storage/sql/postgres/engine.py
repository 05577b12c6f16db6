"""One batch, one transaction: lock, load, evaluate, store, commit; and what a failure in each of these means.

Success is reported only when the commit is certain. When its answer is lost, the batch's own row in the hash chain tells.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from storage.errors import StorageUnavailable
from storage.ledger.evaluate import Told, evaluate
from storage.ledger.needs import missing
from storage.ledger.state import Changes, State
from storage.sql.postgres.connections import Connection, sqlstate
from storage.sql.postgres.known import Known
from storage.sql.postgres.loader import Loader
from storage.sql.postgres.months import Months
from storage.sql.postgres.series import Series, UsageWriter, told_of
from storage.sql.postgres.session import Failure, Session, failure_of
from storage.sql.postgres.writer import Writer, is_in_chain
from storage.sql.usage_rows import COLUMNS
from storage.sql.waiting import unavailable, unknown, unseen

# Any: an error's causes are of every kind.

ATTEMPTS = 5
OUTCOME_SECONDS = 3.0
"""How long a batch whose commit was lost may look for its outcome."""
BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT set_config('enable_seqscan','off',true), "
    "set_config('enable_hashjoin','off',true), set_config('enable_mergejoin','off',true), set_config('jit','off',true), "
    "set_config('plan_cache_mode','force_generic_plan',true), set_config('lock_timeout','8s',true), "
    "set_config('idle_in_transaction_session_timeout','15s',true), "
    "CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit','on',true) END"
)
"""Settings of this transaction alone, so that they pass a transaction pooler: every statement is answered by an index, whatever
the planner last learned of a young table; a stopped process cannot keep its locks; and a commit is durable."""
_OCCURRED = COLUMNS.index("occurred_us")
_READ_ONLY = "25006"
"""Source: PostgreSQL, appendix A."""
_UNSTORABLE = ("22021", "22P05")
"""A text holds a character that the database cannot store. Source: PostgreSQL, appendix A."""


class Engine:
    """Runs batches over the session's connection."""

    def __init__(
        self,
        session: Session,
        clock_us: Callable[[], int],
        changed: Callable[[Changes], None] = unseen,
        usage: Callable[[Connection, Series], UsageWriter] = UsageWriter,
    ) -> None:
        self._session = session
        self._clock_us = clock_us
        self._changed = changed
        self._usage = usage
        self._known = Known()
        self._series = Series()
        self._months = Months()

    async def run(self, commands: Sequence[Told]) -> list[object]:
        """Apply all commands in one durable commit; one outcome for each, exceptions among them. Never raises."""
        try:
            return await self._apply(commands, is_cleaned=False)
        except StorageUnavailable as fault:
            return [fault] * len(commands)
        except Exception as broken:  # noqa: BLE001  # one command's mistake must neither end the lane nor harm its neighbours
            if len(commands) > 1:
                half = len(commands) // 2
                return [*await self.run(commands[:half]), *await self.run(commands[half:])]
            return [await self._alone(commands[0], broken)]

    async def _alone(self, command: Told, broken: Exception) -> object:
        """The outcome of a command that failed by itself: a label that cannot be stored must not stop a charge."""
        if not _is_unstorable(broken):
            return broken
        try:
            return (await self._apply([command], is_cleaned=True))[0]
        except Exception as again:  # noqa: BLE001  # it belongs to the one who waits for this command
            return ValueError("a name holds a NUL or half a character") if _is_unstorable(again) else again

    async def _apply(self, commands: Sequence[Told], *, is_cleaned: bool) -> list[object]:
        for attempt in range(1, ATTEMPTS + 1):
            connection = await self._session.connection()
            try:
                return await self._transaction(connection, commands, is_cleaned=is_cleaned)
            except StorageUnavailable:
                self._series.forget()
                raise
            except Exception as failed:  # noqa: BLE001  # sorted by what it means for the batch, and raised again where it must
                await self._undo(failure_of(failed, connection), failed, is_last=attempt == ATTEMPTS)
        raise AssertionError("the last attempt returns or raises")

    async def _undo(self, failure: Failure, failed: Exception, *, is_last: bool) -> None:
        """Bring the session back to its beginning. Returns when the batch may be repeated."""
        self._series.forget()
        self._months.forget()
        if failure is Failure.LOST:
            self._session.drop()
            if is_last or isinstance(failed, TimeoutError):
                raise unavailable(failed) from failed
            return
        if sqlstate(failed) == _READ_ONLY:
            self._session.drop()  # what a session was told of a standby it keeps; a new one asks the server as it is now
        await self._session.rollback()
        if failure is Failure.AWAY:
            raise unavailable(failed) from failed
        if failure is Failure.OURS or is_last:
            raise failed

    async def _transaction(self, connection: Connection, commands: Sequence[Told], *, is_cleaned: bool) -> list[object]:
        state, known = State(), self._known
        needs = missing(commands, state)
        await known.learn(connection, needs.accounts, needs.windows)
        told = told_of(commands)
        if not is_cleaned:
            await self._series.learn(connection, told)
        await self._months.ensure(connection, [columns[_OCCURRED] for columns in told], self._clock_us())
        await connection.execute(BEGIN)
        loader = Loader(connection, state, needs, known)
        await loader.lock()
        now = self._clock_us()  # behind the locks: an account's rows carry times in the order of its commits
        await loader.load(now)
        known.begin(state)
        outcomes = evaluate(commands, state, now)
        known.end(state)
        try:
            usage = self._usage(connection, self._series)
            mark = await Writer(connection, state, usage, is_cleaned=is_cleaned).store()
            await self._commit(connection, mark)
        finally:
            self._changed(state.changes)
        known.remember(state)
        return outcomes

    async def _commit(self, connection: Connection, mark: tuple[int, str] | None) -> None:
        try:
            await connection.execute("COMMIT")
        except Exception as failed:
            if failure_of(failed, connection) is not Failure.LOST and not sqlstate(failed).startswith(("08", "57")):
                raise  # the server says itself that it did not commit
            self._session.drop()
            await self._find_out(mark, failed)

    async def _find_out(self, mark: tuple[int, str] | None, failed: Exception) -> None:
        """Return if the lost commit happened. Raises: StorageUnavailable, which says when that is not known."""
        if mark is None:
            raise unavailable(failed) from failed  # usage rows only: the same row again changes nothing
        found: bool | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(OUTCOME_SECONDS):
                while found is None:
                    found = await self._look(mark)
        if found is None:
            raise unknown(failed) from failed
        if not found:
            raise unavailable(failed) from failed

    async def _look(self, mark: tuple[int, str]) -> bool | None:
        """Whether the batch is there; None while nobody answers."""
        try:
            connection = await self._session.connection()
            async with connection.transaction():
                return await is_in_chain(connection, mark)
        except Exception:  # noqa: BLE001  # asked again until the time is over
            self._session.drop()
            await asyncio.sleep(0.1)
            return None


def _is_unstorable(error: Exception) -> bool:
    seen: Any = error
    while seen is not None:
        if isinstance(seen, UnicodeEncodeError) or sqlstate(seen) in _UNSTORABLE:
            return True
        seen = seen.__cause__ or seen.__context__
    return False
