"""Loads into the state what a batch needs and memory does not have. Only the lane's thread comes here."""
# ruff: noqa: S608  # statements are built from our own column names, never from values

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from storage.ledger.needs import Needs
from storage.ledger.rows import Account, ChargeRow, ChargeUse, HoldWindow, Resolution, Window
from storage.ledger.state import IdempotencyKey, State
from storage.records.ledger import EXPIRE, SYSTEM_KINDS, AccountKey, WindowKey
from storage.sql import ledger_rows as rows
from storage.sql.charges import AFTER_CODES, CHARGE_CODES, LATE_CODES, REFUND_CODES, note_return
from storage.sql.sqlite.directory import load_entries

# Any: columns come from the driver; the table gives their types.

_ACCOUNT = f"SELECT {rows.ACCOUNT} FROM account WHERE tenant=? AND owner_type=? AND owner_id=? AND kind=? AND asset=?"
_ACCOUNT_BY_ID = f"SELECT {rows.ACCOUNT} FROM account WHERE id=?"
_LOTS = f"SELECT {rows.LOT} FROM lot WHERE account_id=? AND remaining>0 ORDER BY priority, expires_us, id"
_LOT = f"SELECT {rows.LOT} FROM lot WHERE id=?"
_HOLDS = f"SELECT {rows.HOLD} FROM hold WHERE account_id=? ORDER BY transfer_id"
_PARTS = (
    f"SELECT p.amount, p.checkpoint, p.settled, {', '.join('w.' + name for name in rows.WINDOW.split(', '))} "
    "FROM hold_window p JOIN quota_window w ON w.id=p.window_id WHERE p.transfer_id=? ORDER BY p.window_id"
)
_WINDOW = (
    f"SELECT {rows.WINDOW} FROM quota_window WHERE tenant=? AND subject=? AND resource=? AND period=? AND start_us=?"
)
_IDEM = "SELECT request_hash, result FROM idem WHERE tenant=? AND scope=? AND key=?"
_IDEMS = (
    "SELECT key, request_hash, result FROM idem WHERE tenant=? AND scope=? AND key IN (SELECT value FROM json_each(?))"
)
MANY = 8
"""Keys of one scope from which on one statement finds them faster than one for each."""
_LOT_KEY = "SELECT id, granted, account_id, expires_us FROM lot WHERE tenant=? AND source=? AND source_ref=?"
_RESOLUTION = "SELECT debit_account, credit_account, kind, amount FROM transfer WHERE pending_id=?"
_AFTER = f"SELECT code, amount FROM transfer WHERE related_id IN (?, ?) AND code IN {AFTER_CODES}"
_CHARGE = f"SELECT tenant, debit_account, credit_account, amount FROM transfer WHERE id=? AND code IN {CHARGE_CODES} AND amount>0"
_REFUNDED = f"SELECT id, amount FROM transfer WHERE related_id=? AND code IN {REFUND_CODES} ORDER BY id"
_USES = "SELECT lot_id, amount, value_nano FROM lot_use WHERE transfer_id=? ORDER BY id"


class Loader:
    """Fills a state from the writing connection."""

    def __init__(self, connection: sqlite3.Connection, state: State) -> None:
        self._connection = connection
        self._state = state

    def load(self, needs: Needs) -> None:
        """Load everything that is missing; what does not exist is known not to exist afterwards."""
        for key in needs.accounts:
            self._account(key)
        for hold_id in needs.holds:
            self._hold(hold_id)
        for window_key in needs.windows:
            self._window(window_key)
        self._answers(needs.idempotency)
        for lot_key in needs.lot_keys:
            self._lot_key(lot_key)
        for transfer_id in needs.charges:
            self._charge(transfer_id)
        load_entries(self._connection, self._state, needs.entries)

    def _one(self, statement: str, values: tuple[Any, ...]) -> Any:  # a row, or None: typed by the table
        return self._connection.execute(statement, values).fetchone()

    def _answers(self, keys: Iterable[IdempotencyKey]) -> None:
        scopes: dict[tuple[str, str], list[str]] = {}
        for tenant, scope, key in keys:
            scopes.setdefault((tenant, scope), []).append(key)
        for (tenant, scope), named in scopes.items():
            if len(named) < MANY or not "".join(named).isprintable():  # JSON in SQLite ends a text at a NUL
                found = [(key, *row) for key in named if (row := self._one(_IDEM, (tenant, scope, key))) is not None]
            else:
                found = self._connection.execute(_IDEMS, (tenant, scope, orjson.dumps(named).decode())).fetchall()
            for key, digest, result in found:
                self._state.idempotency[tenant, scope, key] = (digest, rows.done_of(result))

    def _account(self, key: AccountKey) -> None:
        if key in self._state.accounts:
            return
        if (key.tenant, key.asset) not in self._state.systems:
            self._state.systems.add((key.tenant, key.asset))
            for kind in SYSTEM_KINDS:
                self._account(AccountKey(key.tenant, "system", "", kind, key.asset))
        found = self._one(_ACCOUNT, key)
        if found is None:
            self._state.account(key)
        else:
            self._enter(rows.account_of(found))

    def _account_by_id(self, account_id: int) -> Account:
        found = rows.account_of(self._one(_ACCOUNT_BY_ID, (account_id,)))
        self._account(found.key)
        return self._state.accounts[found.key]

    def _enter(self, account: Account) -> None:
        self._state.accounts[account.key] = account
        if account.key.kind in SYSTEM_KINDS:
            return
        connection = self._connection
        account.lots = [rows.lot_of(values) for values in connection.execute(_LOTS, (account.id,))]
        if account.lots:
            account.expiry_us = min(lot.expires_us for lot in account.lots)
        for values in connection.execute(_HOLDS, (account.id,)).fetchall():
            hold = rows.hold_of(values, account)
            hold.windows = self._parts(hold.id)
            account.holds[hold.id] = self._state.holds[hold.id] = hold
        account.debts = dict(
            connection.execute("SELECT transfer_id, amount FROM debt WHERE account_id=?", (account.id,))
        )

    def _parts(self, hold_id: int) -> list[HoldWindow]:
        parts: list[HoldWindow] = []
        for amount, checkpoint, settled, *values in self._connection.execute(_PARTS, (hold_id,)):
            part = HoldWindow(hold_id, self._same_window(rows.window_of(tuple(values))), amount, checkpoint)
            part.settled = settled
            parts.append(part)
        return parts

    def _same_window(self, window: Window) -> Window:
        return self._state.windows.setdefault(window.key, window)

    def _hold(self, hold_id: int) -> None:
        if hold_id in self._state.holds:
            return
        found = self._one("SELECT account_id FROM hold WHERE transfer_id=?", (hold_id,))
        if found is not None:
            self._account_by_id(found[0])
            return
        found = self._one(_RESOLUTION, (hold_id,))
        if found is None:
            return
        debit, credit, kind, amount = found
        after = self._connection.execute(_AFTER, (hold_id, hold_id + 1)).fetchall()
        is_late = any(code in LATE_CODES for code, _ in after)
        written_off = sum(lost for code, lost in after if code == "write_off")
        self._state.resolutions[hold_id] = Resolution(
            self._account_by_id(debit), credit, kind, amount, self._parts(hold_id), written_off, is_late_charged=is_late
        )
        if kind == EXPIRE and not is_late:
            self._charge(hold_id + 1)  # a late settle may give back of it

    def _window(self, key: WindowKey) -> None:
        if key in self._state.windows:
            return
        found = self._one(_WINDOW, key)
        if found is None:
            self._state.window(key)
        else:
            self._same_window(rows.window_of(found))

    def _lot_key(self, key: tuple[str, str, str]) -> None:
        found = self._one(_LOT_KEY, key)
        if found is not None:
            lot_id, granted, account_id, expires_us = found
            self._state.lot_keys[key] = (lot_id, granted, self._account_by_id(account_id).key, expires_us)

    def _charge(self, transfer_id: int) -> None:
        found = self._one(_CHARGE, (transfer_id,)) if transfer_id not in self._state.charges else None
        if found is None:
            return
        tenant, debit, credit, amount = found
        refunds = self._connection.execute(_REFUNDED, (transfer_id,)).fetchall()
        account = self._account_by_id(debit)
        charge = ChargeRow(transfer_id, tenant, account, credit, amount, sum(refund[1] for refund in refunds))
        charge.uses = [ChargeUse(*values) for values in self._connection.execute(_USES, (transfer_id,))]
        for refund_id, _ in refunds:
            for lot_id, returned, value in self._connection.execute(_USES, (refund_id,)):
                note_return(charge, lot_id, -returned, -value)
        for use in charge.uses:
            if self._state.lot(account, use.lot_id) is None:
                self._state.closed_lots[use.lot_id] = rows.lot_of(self._one(_LOT, (use.lot_id,)))
        self._state.charges[transfer_id] = charge
