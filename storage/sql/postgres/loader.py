"""Locks and loads, in bulk, what a batch reads: accounts in id order, then windows in id order, then what lies under them.

Whatever belongs to an account (lots, holds, debts) changes only under its account's lock, so it is read after the lock is taken
and needs none of its own. Statements run at READ COMMITTED: each sees what was committed before it began.
"""
# ruff: noqa: S608  # statements are built from our own column names, never from values

from collections.abc import Collection, Iterable
from typing import Any

from storage.ledger.needs import Needs
from storage.ledger.rows import Account, ChargeRow, ChargeUse, HoldWindow, Resolution
from storage.ledger.state import State
from storage.records.ledger import EXPIRE
from storage.sql import ledger_rows as rows
from storage.sql.charges import AFTER_CODES, CHARGE_CODES, LATE_CODES, REFUND_CODES, note_return
from storage.sql.postgres.connections import Connection
from storage.sql.postgres.directory import load_entries, lock_entries
from storage.sql.postgres.known import Known, system_keys
from storage.sql.postgres.statements import arrays, select_by

_HOLD_OWNERS = "SELECT id, debit_account FROM transfer WHERE id=ANY($1::bigint[]) AND kind=1"
_CHARGE_OWNERS = f"SELECT debit_account FROM transfer WHERE id=ANY($1::bigint[]) AND code IN {CHARGE_CODES}"
_LOT_OWNERS = select_by("lot", "tenant, source, source_ref", "account_id")
_LOCK_ACCOUNTS = f"SELECT {rows.ACCOUNT} FROM account WHERE id=ANY($1::bigint[]) ORDER BY id FOR UPDATE"
_LOCK_WINDOWS = f"SELECT {rows.WINDOW} FROM quota_window WHERE id=ANY($1::bigint[]) ORDER BY id FOR UPDATE"
_LOTS = (
    f"SELECT {rows.LOT} FROM lot WHERE account_id=ANY($1::bigint[]) AND remaining>0 "
    "ORDER BY account_id, priority, expires_us, id"
)
_DEBTS = "SELECT account_id, transfer_id, amount FROM debt WHERE account_id=ANY($1::bigint[])"
_HOLDS = (
    f"SELECT {rows.HOLD} FROM hold WHERE transfer_id=ANY($1::bigint[]) "
    f"UNION SELECT {rows.HOLD} FROM hold WHERE account_id=ANY($2::bigint[]) AND (expires_us<=$3 OR account_id=ANY($4::bigint[])) "
    "ORDER BY transfer_id"
)
_PARTS = (
    f"SELECT {rows.HOLD_WINDOW} FROM hold_window WHERE transfer_id=ANY($1::bigint[]) ORDER BY transfer_id, window_id"
)
_LOCK_PARTS = "SELECT 1 FROM hold_window WHERE transfer_id=ANY($1::bigint[]) ORDER BY transfer_id, window_id FOR UPDATE"
"""Parts of open holds stay; those of ended ones may be about to go."""
_RESOLUTIONS = (
    "SELECT pending_id, debit_account, credit_account, kind, amount FROM transfer WHERE pending_id=ANY($1::bigint[])"
)
_AFTER = f"SELECT related_id, code, amount FROM transfer WHERE related_id=ANY($1::bigint[]) AND code IN {AFTER_CODES}"
_HOLDS_OF = f"SELECT {rows.HOLD} FROM hold WHERE account_id=ANY($1::bigint[]) ORDER BY transfer_id"
_IDEM = select_by("idem", "tenant, scope, key", "tenant, scope, key, request_hash, result")
_LOT_KEYS = select_by(
    "lot", "tenant, source, source_ref", "tenant, source, source_ref, id, granted, account_id, expires_us"
)
_CHARGES = (
    "SELECT id, tenant, debit_account, credit_account, amount FROM transfer WHERE id=ANY($1::bigint[]) "
    f"AND code IN {CHARGE_CODES} AND amount>0"
)
_REFUNDS = (
    "SELECT id, related_id, amount FROM transfer "
    f"WHERE related_id=ANY($1::bigint[]) AND code IN {REFUND_CODES} ORDER BY id"
)
_USES = "SELECT transfer_id, lot_id, amount, value_nano FROM lot_use WHERE transfer_id=ANY($1::bigint[]) ORDER BY id"
_CLOSED = f"SELECT {rows.LOT} FROM lot WHERE id=ANY($1::bigint[]) AND remaining=0"


class Loader:
    """Fills the state of one batch inside its transaction."""

    def __init__(self, connection: Connection, state: State, needs: Needs, known: Known) -> None:
        self._connection = connection
        self._state = state
        self._needs = needs
        self._known = known
        self._accounts: dict[int, Account] = {}
        self._expiries: list[int] = []
        """Charges of expired holds, of which a late settle may give back."""

    async def lock(self) -> None:
        """Lock every account that the batch may change. Waits for other processes, in the one order that all keep."""
        known, needs = self._known, self._needs
        if needs.entries:
            await lock_entries(self._connection)
        wanted = {known.accounts[key] for key in needs.accounts}
        wanted.update(await self._owners(needs.holds))
        if needs.charges:
            wanted.update(owner for (owner,) in await self._fetch(_CHARGE_OWNERS, list(needs.charges)))
        if needs.lot_keys:
            wanted.update(owner for (owner,) in await self._fetch(_LOT_OWNERS, *arrays(needs.lot_keys)))
        if wanted:
            for values in await self._fetch(_LOCK_ACCOUNTS, sorted(wanted)):
                account = rows.account_of(values)
                self._accounts[account.id] = self._state.accounts[account.key] = account
            await self._enter_systems()

    async def load(self, now_us: int) -> None:
        """Load what lies under the locked accounts, lock the windows, and load what commands named besides."""
        if self._accounts:
            await self._load_accounts()
            await self._load_holds(now_us)
        elif self._needs.windows:
            await self._load_windows([], [])
        await self._load_keys()
        if charges := [*dict.fromkeys([*self._needs.charges, *self._expiries])]:
            await self._load_charges(charges)
        if self._needs.entries:
            await load_entries(self._connection, self._state, list(self._needs.entries))

    def _fetch(self, statement: str, *values: Any) -> Any:  # an awaitable of rows: typed by the tables
        return self._connection.fetch(statement, *values)

    async def _owners(self, holds: Collection[int]) -> Iterable[int]:
        """The accounts of holds; which one never changes."""
        known = self._known.hold_accounts
        unknown = [hold_id for hold_id in holds if hold_id not in known]
        if unknown:
            known.update(dict(await self._fetch(_HOLD_OWNERS, unknown)))
        return {known[hold_id] for hold_id in holds if hold_id in known}

    async def _enter_systems(self) -> None:
        """The system accounts beside the locked ones: only their ids are needed, so nobody locks them."""
        places = {(account.key.tenant, account.key.asset) for account in self._accounts.values()}
        await self._known.learn_systems(self._connection, places)
        for tenant, asset in places:
            for key in system_keys(tenant, asset):
                self._state.accounts[key] = Account(self._known.accounts[key], key)
        self._state.systems.update(places)

    async def _load_accounts(self) -> None:
        ids = list(self._accounts)
        for values in await self._fetch(_LOTS, ids):
            lot = rows.lot_of(values)
            self._accounts[lot.account_id].lots.append(lot)
        for account_id, transfer_id, amount in await self._fetch(_DEBTS, ids):
            self._accounts[account_id].debts[transfer_id] = amount
        for account in self._accounts.values():
            if account.lots:
                account.expiry_us = min(lot.expires_us for lot in account.lots)

    async def _load_holds(self, now_us: int) -> None:
        """The holds that commands name and those whose time has come; all of them where a lot's expiry must look at them."""
        looked_through = [
            account.id for account in self._accounts.values() if account.expiry_us <= now_us or self._needs.charges
        ]
        named = list(self._needs.holds)
        for values in await self._fetch(_HOLDS, named, list(self._accounts), now_us, looked_through):
            account = self._accounts[values[1]]
            hold = rows.hold_of(tuple(values), account)
            account.holds[hold.id] = self._state.holds[hold.id] = hold
        gone = [hold_id for hold_id in named if hold_id not in self._state.holds]
        if gone:
            await self._fetch(_LOCK_PARTS, gone)
        await self._load_windows(list(self._state.holds), gone)
        if gone:
            await self._load_resolutions(gone)

    async def _load_windows(self, holds: list[int], gone: list[int]) -> None:
        found = await self._fetch(_PARTS, holds + gone) if holds or gone else []
        known = self._known.windows
        wanted = {known[key] for key in self._needs.windows} | {window_id for _, window_id, *_ in found}
        windows = {}
        if wanted:
            for values in await self._fetch(_LOCK_WINDOWS, sorted(wanted)):
                window = rows.window_of(values)
                windows[window.id] = self._state.windows[window.key] = window
        self._parts: dict[int, list[HoldWindow]] = {}
        for hold_id, window_id, amount, checkpoint, settled in found:
            part = HoldWindow(hold_id, windows[window_id], amount, checkpoint)
            part.settled = settled
            self._parts.setdefault(hold_id, []).append(part)
        for hold_id in holds:
            self._state.holds[hold_id].windows = self._parts.get(hold_id, [])

    async def _load_resolutions(self, gone: list[int]) -> None:
        after: dict[int, list[tuple[str, int]]] = {}
        owners: set[int] = set()
        for related, code, amount in await self._fetch(_AFTER, [*gone, *(hold_id + 1 for hold_id in gone)]):
            after.setdefault(related // 2 * 2, []).append((code, amount))  # an expiry's id is its hold's plus one
        for hold_id, debit, credit, kind, amount in await self._fetch(_RESOLUTIONS, gone):
            beside = after.get(hold_id, [])
            is_late = any(code in LATE_CODES for code, _ in beside)
            account, parts = self._accounts[debit], self._parts.get(hold_id, [])
            written_off = sum(lost for code, lost in beside if code == "write_off")
            self._state.resolutions[hold_id] = Resolution(
                account, credit, kind, amount, parts, written_off, is_late_charged=is_late
            )
            if kind == EXPIRE and amount and not is_late:
                self._expiries.append(hold_id + 1)
                owners.add(debit)
        if owners:
            await self._look_through(owners)

    async def _look_through(self, owners: Collection[int]) -> None:
        """Know every hold of accounts that units may go back to: the expiry of their lots looks at all of them."""
        for values in await self._fetch(_HOLDS_OF, sorted(owners)):
            account = self._accounts[values[1]]
            account.holds.setdefault(values[0], rows.hold_of(tuple(values), account))

    async def _load_keys(self) -> None:
        state, needs = self._state, self._needs
        if needs.idempotency:
            for *key, digest, result in await self._fetch(_IDEM, *arrays(needs.idempotency)):
                state.idempotency[(key[0], key[1], key[2])] = (digest, rows.done_of(result))
        if needs.lot_keys:
            for *key, lot_id, granted, owner, expires_us in await self._fetch(_LOT_KEYS, *arrays(needs.lot_keys)):
                account = self._accounts.get(owner)
                if account is not None:
                    state.lot_keys[(key[0], key[1], key[2])] = (lot_id, granted, account.key, expires_us)

    async def _load_charges(self, ids: list[int]) -> None:
        for transfer_id, tenant, debit, credit, amount in await self._fetch(_CHARGES, ids):
            account = self._accounts[debit]
            self._state.charges[transfer_id] = ChargeRow(transfer_id, tenant, account, credit, amount, 0)
        refunds = {number: (charge, amount) for number, charge, amount in await self._fetch(_REFUNDS, ids)}
        uses = await self._fetch(_USES, [*ids, *refunds])
        for charge in self._state.charges.values():
            if charge is not None:
                charge.uses = [ChargeUse(*use) for transfer_id, *use in uses if transfer_id == charge.id]
                charge.refunded = sum(amount for related, amount in refunds.values() if related == charge.id)
        for transfer_id, lot_id, returned, value in uses:
            given_back = self._state.charges.get(refunds[transfer_id][0]) if transfer_id in refunds else None
            if given_back is not None:
                note_return(given_back, lot_id, -returned, -value)
        for values in await self._fetch(_CLOSED, sorted({lot_id for _, lot_id, *_ in uses})):
            self._state.closed_lots[values[0]] = rows.lot_of(values)
