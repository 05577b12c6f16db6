"""Stores what a batch changed: inserts in bulk, one UPDATE per touched row. The transaction is its caller's."""

import sqlite3
from collections.abc import Iterator

from storage.ledger.chain import link
from storage.ledger.state import Changes, State
from storage.records.commands import Forget
from storage.sql import ledger_rows as rows
from storage.sql.sqlite import parts
from storage.sql.sqlite.directory import store_entries
from storage.sql.sqlite.series import UsageWriter
from storage.sql.usage_rows import to_columns


def _insert(table: str, columns: str) -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(',')))})"  # noqa: S608  # our own names


_ACCOUNT = _insert("account", rows.ACCOUNT)
_ACCOUNT_SET = "UPDATE account SET posted=?, held=?, overdraft=?, state=?, version=? WHERE id=?"
_TRANSFER = _insert("transfer", rows.TRANSFER)
_HOLD = _insert("hold", rows.HOLD)
_HOLD_SET = "UPDATE hold SET amount=?, used=?, expires_us=?, note=? WHERE transfer_id=?"
_HOLD_GONE = "DELETE FROM hold WHERE transfer_id=?"
_LOT = _insert("lot", rows.LOT)
_LOT_SET = "UPDATE lot SET remaining=?, recognised_nano=?, refunded_nano=?, breakage_nano=?, moved_nano=? WHERE id=?"
_LOT_USE = _insert("lot_use", rows.LOT_USE)
_WINDOW = _insert("quota_window", rows.WINDOW)
_WINDOW_SET = "UPDATE quota_window SET used=?, held=?, bound=?, marks=?, told=?, carried=? WHERE id=?"
_WINDOW_COUNT = "UPDATE quota_window SET used=?, held=? WHERE id=?"
"""Of a window in which the same is looked for as before."""
_PART = _insert("hold_window", rows.HOLD_WINDOW)
_PART_SET = "UPDATE hold_window SET amount=?, checkpoint=?, settled=? WHERE transfer_id=? AND window_id=?"
_DEBT = "INSERT OR REPLACE INTO debt (transfer_id, account_id, amount) VALUES (?, ?, ?)"
_DEBT_GONE = "DELETE FROM debt WHERE transfer_id=?"
_IDEM = _insert("idem", rows.IDEM)
_OUTBOX = _insert("outbox", rows.OUTBOX)
_PRUNED = (
    "INSERT INTO pruned (resource, before_us) VALUES (?, ?) "
    "ON CONFLICT (resource) DO UPDATE SET before_us=max(before_us, excluded.before_us)"
)
_KEPT = _insert("kept", rows.KEPT)
_ANSWERS_GONE = (
    "DELETE FROM kept WHERE id IN "
    "(SELECT id FROM kept WHERE kind='answer' AND expires_us<=? ORDER BY expires_us LIMIT 100)"
)
_BATCH = _insert("batch", "id, prev_hash, hash, n, committed_us")


def store(connection: sqlite3.Connection, state: State, last_hash: str, usage: UsageWriter) -> Iterator[str]:
    """Store the state's changes in steps, each of which gives the chain's new last hash. Raises: sqlite3.Error: roll back."""
    changes = state.changes
    many = connection.executemany
    if changes.accounts_new:
        many(_ACCOUNT, [rows.account_columns(row) for row in changes.accounts_new])
    if changes.accounts:
        many(
            _ACCOUNT_SET,
            [(row.posted, row.held, row.overdraft, row.state, row.version, row.id) for row in changes.accounts],
        )
    if changes.transfers:
        many(_TRANSFER, changes.transfers)
        last_hash = _chain(connection, state, last_hash)
    yield last_hash
    _store_lots(connection, changes)
    _store_windows(connection, changes)
    _store_holds(connection, changes)
    yield last_hash
    if changes.usage:
        usage.write([to_columns(row) for row in rows.usage_to_store(changes)], changes.usage_replaced)
    for forget in changes.forgotten:
        if forget.weigh_before_us:
            usage.weigh(forget.weigh_before_us)
    yield last_hash
    _store_beside(connection, changes, state.now_us)
    yield last_hash


def _chain(connection: sqlite3.Connection, state: State, last_hash: str) -> str:
    transfers = state.changes.transfers
    new = link(last_hash, transfers)
    connection.execute(_BATCH, (state.batch_id, last_hash, new, len(transfers), state.now_us))
    return new


def _store_lots(connection: sqlite3.Connection, changes: Changes) -> None:
    many = connection.executemany
    if changes.lots_new:
        many(_LOT, [rows.lot_columns(row) for row in changes.lots_new])
    if changes.lots:
        many(
            _LOT_SET,
            [
                (row.remaining, row.recognised_nano, row.refunded_nano, row.breakage_nano, row.moved_nano, row.id)
                for row in changes.lots
            ],
        )
    if changes.lot_uses:
        many(_LOT_USE, changes.lot_uses)
    for account, transfer_id in changes.debts:
        amount = account.debts.get(transfer_id)
        if amount:
            connection.execute(_DEBT, (transfer_id, account.id, amount))
        else:
            connection.execute(_DEBT_GONE, (transfer_id,))


def _store_windows(connection: sqlite3.Connection, changes: Changes) -> None:
    many = connection.executemany
    if changes.windows_new:
        many(_WINDOW, [rows.window_columns(row) for row in changes.windows_new])
    if changes.windows:
        many(_WINDOW_COUNT, [(row.used, row.held, row.id) for row in changes.windows if not row.is_aimed])
        many(_WINDOW_SET, [(*rows.window_set(row), row.id) for row in changes.windows if row.is_aimed])
    if changes.hold_windows_new:
        many(_PART, [rows.part_columns(row) for row in changes.hold_windows_new])
    if changes.hold_windows:
        many(
            _PART_SET,
            [(row.amount, row.checkpoint, row.settled, row.hold_id, row.window.id) for row in changes.hold_windows],
        )


def _store_holds(connection: sqlite3.Connection, changes: Changes) -> None:
    many = connection.executemany
    if changes.holds_new:
        many(_HOLD, [rows.hold_columns(row) for row in changes.holds_new])
    if changes.holds:
        many(_HOLD_SET, [(row.amount, row.used, row.expires_us, rows.note_of(row), row.id) for row in changes.holds])
    if changes.holds_closed:
        many(_HOLD_GONE, [(hold_id,) for hold_id in changes.holds_closed])


def _store_beside(connection: sqlite3.Connection, changes: Changes, now_us: int) -> None:
    many = connection.executemany
    if changes.idempotency:
        many(_IDEM, [rows.idem_columns(entry, now_us) for entry in changes.idempotency])
    if changes.kept:
        many(_KEPT, [rows.kept_columns(row, now_us) for row in changes.kept])
        connection.execute(_ANSWERS_GONE, (now_us,))  # whoever adds an answer takes old ones away: no job, never many
    if changes.entries:
        store_entries(connection, changes.entries, now_us)
    if changes.events:
        many(_OUTBOX, [(tenant, event.topic, event.payload, 0, now_us, "waiting") for tenant, event in changes.events])
    for forget in changes.forgotten:
        _forget(connection, forget)


def _forget(connection: sqlite3.Connection, forget: Forget) -> None:
    many = connection.executemany
    many("DELETE FROM usage WHERE seq=?", [(seq,) for seq in forget.usage])
    if forget.usage_before_us:
        connection.execute(_PRUNED, ("usage", forget.usage_before_us))
    many("DELETE FROM idem WHERE tenant=? AND scope=? AND key=?", forget.keys)
    many("DELETE FROM outbox WHERE id=?", [(event_id,) for event_id in forget.events])
    parts.fold(connection, forget.parts)
