"""Stores what a batch changed, in bulk. What may wait for another process comes in one fixed order, the chain's lock last."""

from collections.abc import Sequence
from typing import Any

from storage.ledger.chain import GENESIS, link
from storage.ledger.state import Changes, State
from storage.records.commands import Forget
from storage.sql import ledger_rows as rows
from storage.sql.postgres.connections import Connection
from storage.sql.postgres.directory import store_entries
from storage.sql.postgres.parts import fold
from storage.sql.postgres.series import UsageWriter
from storage.sql.postgres.statements import arrays, insert, update
from storage.sql.usage_rows import to_columns

# Any: columns hold what their table says.

CHAIN_LOCK = 0x746F6C6C67617465
"""The advisory lock of the hash chain: taken last and held until the commit, so batches follow one another."""
_LOCK_CHAIN = f"SELECT pg_advisory_xact_lock({CHAIN_LOCK})"
_LAST = "SELECT id, hash FROM batch ORDER BY id DESC LIMIT 1"
_KNOWN = "SELECT 1 FROM batch WHERE id=$1 AND hash=$2"
_ANSWERS_GONE = (
    "DELETE FROM kept WHERE id IN (SELECT id FROM kept WHERE kind='answer' AND expires_us<=$1 "
    "ORDER BY expires_us LIMIT 100 FOR UPDATE SKIP LOCKED)"
)
_BATCH = "INSERT INTO batch (id, prev_hash, hash, n, committed_us) VALUES ($1, $2, $3, $4, $5)"
_ACCOUNT_SET = update("account", "id", "posted, held, overdraft, state, version")
_TRANSFER = insert("transfer", rows.TRANSFER)
_HOLD = insert("hold", rows.HOLD)
_HOLD_SET = update("hold", "transfer_id", "amount, used, expires_us, note")
_HOLD_GONE = "DELETE FROM hold WHERE transfer_id=ANY($1::bigint[])"
_LOT = insert("lot", rows.LOT)
_LOT_SET = update("lot", "id", "remaining, recognised_nano, refunded_nano, breakage_nano, moved_nano")
_LOT_USE = insert("lot_use", rows.LOT_USE)
_WINDOW_SET = update("quota_window", "id", rows.WINDOW_SET)
_PART = insert("hold_window", rows.HOLD_WINDOW)
_PART_SET = update("hold_window", "transfer_id, window_id", "amount, checkpoint, settled")
_DEBT = insert(
    "debt", "transfer_id, account_id, amount", "ON CONFLICT (transfer_id) DO UPDATE SET amount=excluded.amount"
)
_DEBT_GONE = "DELETE FROM debt WHERE transfer_id=ANY($1::bigint[])"
_IDEM = insert("idem", rows.IDEM)
_OUTBOX = insert("outbox", rows.OUTBOX)
_IDEM_PRUNED = (
    "DELETE FROM idem WHERE (tenant, scope, key) IN "
    "(SELECT t.tenant, t.scope, t.key FROM unnest($1::text[], $2::text[], $3::text[]) AS v(tenant, scope, key) JOIN idem t "
    "ON t.tenant=v.tenant AND t.scope=v.scope AND t.key=v.key FOR UPDATE OF t SKIP LOCKED)"
)
_OUTBOX_PRUNED = (
    "DELETE FROM outbox WHERE id IN "
    "(SELECT id FROM outbox WHERE id=ANY($1::bigint[]) ORDER BY id FOR UPDATE SKIP LOCKED)"
)
_PRUNED = (
    "INSERT INTO pruned (resource, before_us) VALUES ($1, $2) "
    "ON CONFLICT (resource) DO UPDATE SET before_us=greatest(pruned.before_us, excluded.before_us)"
)
_KEPT = insert("kept", rows.KEPT)

Row = Sequence[Any]


class Writer:
    """Writes one batch's changes inside its transaction."""

    def __init__(self, connection: Connection, state: State, usage: UsageWriter, *, is_cleaned: bool = False) -> None:
        self._connection = connection
        self._state = state
        self._usage = usage
        self._is_cleaned = is_cleaned
        """Texts that came from outside lose what PostgreSQL cannot store, so that no label can stop a charge."""

    async def store(self) -> tuple[int, str] | None:
        """Store everything; returns the batch's id and hash, by which its commit can be recognised later.

        None: nothing but usage rows, which are recognised by their own ids.
        """
        changes = self._state.changes
        assert not changes.accounts_new and not changes.windows_new, "empty rows are made before the batch"  # noqa: PT018  # one rule
        await self._store_unique(changes)
        await self._store_holds(changes)
        await self._store_lots(changes)
        await self._store_windows(changes)
        await self._store_beside(changes)
        await self._usage.raise_sums()
        return await self._link(changes) if any(changes.lists()) and not _is_usage_only(changes) else None

    async def _many(self, statement: str, values: Sequence[Row]) -> None:
        if values:
            await self._connection.execute(statement, *arrays(values))

    async def _store_unique(self, changes: Changes) -> None:
        """Rows that another process may be inserting now: in the order of their keys, so that two never wait for each other."""
        now = self._state.now_us
        lots = sorted(changes.lots_new, key=lambda lot: (lot.tenant, lot.source, lot.source_ref))
        await self._many(_LOT, [rows.lot_columns(row) for row in lots])
        idempotency = sorted(changes.idempotency, key=lambda entry: entry[0])
        await self._many(_IDEM, [rows.idem_columns(entry, now) for entry in idempotency])
        if changes.usage:
            usage = [self._clean(to_columns(row)) for row in rows.usage_to_store(changes)]
            await self._usage.write(usage, changes.usage_replaced)

    async def _store_holds(self, changes: Changes) -> None:
        accounts = [(row.id, row.posted, row.held, row.overdraft, row.state, row.version) for row in changes.accounts]
        await self._many(_ACCOUNT_SET, accounts)
        closed = set(changes.holds_closed)
        opened = [row for row in changes.holds_new if row.id not in closed]
        await self._many(_HOLD, [self._clean(rows.hold_columns(row)) for row in opened])
        changed = [
            (row.id, row.amount, row.used, row.expires_us, rows.note_of(row))
            for row in changes.holds
            if row.id not in closed
        ]
        await self._many(_HOLD_SET, [self._clean(row) for row in changed])
        if closed:
            await self._connection.execute(_HOLD_GONE, changes.holds_closed)

    async def _store_lots(self, changes: Changes) -> None:
        lots = [
            (row.id, row.remaining, row.recognised_nano, row.refunded_nano, row.breakage_nano, row.moved_nano)
            for row in changes.lots
        ]
        await self._many(_LOT_SET, lots)
        await self._many(_LOT_USE, changes.lot_uses)
        debts = {transfer_id: account for account, transfer_id in changes.debts}
        owed = [(key, account.id, account.debts[key]) for key, account in debts.items() if account.debts.get(key)]
        await self._many(_DEBT, owed)
        paid = [key for key, account in debts.items() if not account.debts.get(key)]
        if paid:
            await self._connection.execute(_DEBT_GONE, paid)

    async def _store_windows(self, changes: Changes) -> None:
        await self._many(_WINDOW_SET, [(row.id, *rows.window_set(row)) for row in changes.windows])
        await self._many(_PART, [rows.part_columns(row) for row in changes.hold_windows_new])
        parts = [(row.hold_id, row.window.id, row.amount, row.checkpoint, row.settled) for row in changes.hold_windows]
        await self._many(_PART_SET, parts)

    async def _store_beside(self, changes: Changes) -> None:
        now = self._state.now_us
        if changes.kept:
            await self._many(_KEPT, [self._clean(rows.kept_columns(row, now)) for row in changes.kept])
            await self._connection.execute(_ANSWERS_GONE, now)
        if changes.entries:
            await store_entries(self._connection, changes.entries, now)
        events = [(tenant, event.topic, event.payload, 0, now, "waiting") for tenant, event in changes.events]
        await self._many(_OUTBOX, [self._clean(row) for row in events])
        for forget in changes.forgotten:
            await self._forget(forget)

    async def _forget(self, forget: Forget) -> None:
        execute = self._connection.execute
        if forget.usage_before_us:
            await execute(_PRUNED, "usage", forget.usage_before_us)
        if forget.keys:
            await execute(_IDEM_PRUNED, *arrays(forget.keys))
        if forget.events:
            await execute(_OUTBOX_PRUNED, forget.events)
        if forget.weigh_before_us:
            await self._usage.weigh(forget.weigh_before_us)
        if forget.parts:
            await fold(self._connection, forget.parts)

    async def _link(self, changes: Changes) -> tuple[int, str]:
        """Append the batch to the chain. From here to the commit this process waits for nobody."""
        await self._connection.execute(_LOCK_CHAIN)
        last = await self._connection.fetchrow(_LAST)
        batch_id, before = (last[0] + 1, last[1]) if last else (1, GENESIS)
        transfers = [(*self._clean(row[:-1]), batch_id) for row in changes.transfers]
        digest = link(before, transfers)
        await self._many(_TRANSFER, transfers)
        await self._connection.execute(_BATCH, batch_id, before, digest, len(transfers), self._state.now_us)
        return batch_id, digest

    def _clean(self, row: Row) -> Row:
        return tuple(cleaned(value) for value in row) if self._is_cleaned else row


async def is_in_chain(connection: Connection, mark: tuple[int, str]) -> bool:
    """True when the batch of this id and hash is committed; False when it never will be. Inside a transaction.

    The one who writes a batch holds the chain's lock until its transaction ends, so behind the lock there is no third answer.
    """
    await connection.execute(_LOCK_CHAIN)
    return await connection.fetchval(_KNOWN, *mark) is not None


def cleaned(value: Any) -> Any:
    """The value, as a text that every encoding and database can hold."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _is_usage_only(changes: Changes) -> bool:
    return sum(len(found) for found in changes.lists()) == len(changes.usage) + len(changes.forgotten)
