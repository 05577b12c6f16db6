"""The rows that evaluation may see, the record of what it changed, and the undo of a refused group. No rule lives here."""

from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeAlias

from storage.ledger.rows import (
    CHANGED,
    CLEAN,
    NEW,
    UNBORN,
    Account,
    ChargeRow,
    ChargeUse,
    Hold,
    HoldWindow,
    Lot,
    Resolution,
    Window,
)
from storage.records.commands import Done, Event, Forget
from storage.records.directory import DirectoryEntry
from storage.records.kept import KeptRow
from storage.records.ledger import AccountKey, WindowKey
from storage.records.usage import UsageRow

# Any: the journal keeps rows of every kind with what their own `save` gave.

IdempotencyKey: TypeAlias = tuple[str, str, str]
"""Tenant, scope, key."""
LotKey: TypeAlias = tuple[str, str, str]
"""Tenant, source, source's own reference."""
EntryKey: TypeAlias = tuple[str, str, str]
"""Tenant, kind, key."""
LotPlace: TypeAlias = tuple[int, int, AccountKey, int]
"""Lot id, granted, its account, when it expires: what a repeated grant needs to know."""
Row: TypeAlias = Account | Lot | Hold | HoldWindow | Window | ChargeRow | ChargeUse | Resolution

TransferRow: TypeAlias = tuple[
    int, str, int, int, int, int, int, str, int | None, int | None, str | None, str | None, int, int, int
]
"""id, tenant, group_id, debit, credit, amount, kind, code, pending_id, related_id, ref, note, occurred_us, booked_us, batch_id"""


@dataclass(slots=True)
class Changes:
    """What one batch changed, to be stored in one transaction. Rows are stored as they are at the end of the batch."""

    accounts_new: list[Account] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    transfers: list[TransferRow] = field(default_factory=list)
    holds_new: list[Hold] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    holds_closed: list[int] = field(default_factory=list)
    lots_new: list[Lot] = field(default_factory=list)
    lots: list[Lot] = field(default_factory=list)
    lot_uses: list[tuple[int, int, int, int]] = field(default_factory=list)
    """transfer, lot, amount, value_nano"""
    windows_new: list[Window] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    hold_windows_new: list[HoldWindow] = field(default_factory=list)
    hold_windows: list[HoldWindow] = field(default_factory=list)
    debts: list[tuple[Account, int]] = field(default_factory=list)
    """Account and transfer whose uncovered part changed."""
    idempotency: list[tuple[IdempotencyKey, str, Done, int | None]] = field(default_factory=list)
    """Key, hash, answer, and from when on it may be forgotten (None: never)."""
    usage: list[UsageRow] = field(default_factory=list)
    usage_replaced: list[str] = field(default_factory=list)
    """Ids among `usage` that stand in the place of a row written before: an expiry's, once the call's own end is known."""
    forgotten: list[Forget] = field(default_factory=list)
    kept: list[KeptRow] = field(default_factory=list)
    entries: list[DirectoryEntry] = field(default_factory=list)
    """Directory entries in the order of their seq; of several with one key the last is stored."""
    events: list[tuple[str, Event]] = field(default_factory=list)

    def lists(self) -> tuple[list[Any], ...]:
        """Every list, in a fixed order."""
        found: tuple[list[Any], ...] = _lists_of(self)
        return found


_lists_of = attrgetter(*Changes.__slots__)


class State:
    """Loaded rows by key. Backends fill it before evaluation and read `changes` after it."""

    def __init__(self) -> None:
        self.accounts: dict[AccountKey, Account] = {}
        self.systems: set[tuple[str, str]] = set()
        """Tenant and asset whose system accounts are loaded."""
        self.holds: dict[int, Hold] = {}
        self.windows: dict[WindowKey, Window] = {}
        self.idempotency: dict[IdempotencyKey, tuple[str, Done] | None] = {}
        self.lot_keys: dict[LotKey, LotPlace | None] = {}
        self.closed_lots: dict[int, Lot] = {}
        """Lots without units that this batch may give units back to."""
        self.charges: dict[int, ChargeRow | None] = {}
        self.resolutions: dict[int, Resolution | None] = {}
        self.entries: dict[EntryKey, DirectoryEntry] = {}
        """The directory entries that this batch may write over."""
        self.parts: dict[int, HoldWindow] = {}
        """What the direct charges of this batch have counted in a window, by its id, together: one row for all of them."""
        self.passing: list[IdempotencyKey] = []
        """Keys of this batch that hardly anybody repeats soon: memory is not kept full of them."""
        self.next_account_id = 1
        self.next_transfer_id = 2
        self.next_lot_id = 1
        self.next_window_id = 1
        self.next_seq = 1
        self.batch_id = 1
        self.now_us = 0
        self.group_id = 0
        self.changes = Changes()
        self._journal: list[tuple[Any, Any, Any]] | None = None
        self._marks: tuple[int, ...] = ()

    def begin(self, now_us: int) -> None:
        """Start a batch."""
        self.now_us = now_us
        self.changes = Changes()
        self.parts.clear()
        self.passing.clear()

    def end(self) -> None:
        """The batch is stored: every row is clean, and what was loaded for it alone is forgotten."""
        changes = self.changes
        for rows in (
            changes.accounts_new, changes.accounts, changes.holds_new, changes.holds, changes.lots_new, changes.lots,
            changes.windows_new, changes.windows, changes.hold_windows_new, changes.hold_windows,
        ):  # fmt: skip
            for row in rows:
                row.status = CLEAN
        for window in (*changes.windows_new, *changes.windows):
            window.is_aimed = False
        self.closed_lots.clear()
        self.charges.clear()
        self.resolutions.clear()
        self.entries.clear()
        for key in self.passing:
            self.idempotency.pop(key, None)
        self.passing.clear()
        self.batch_id += bool(changes.transfers)

    def forget(self) -> None:
        """Drop every loaded row: after a failed commit only the database knows what is true."""
        for rows in (
            self.accounts, self.holds, self.windows, self.idempotency, self.lot_keys, self.closed_lots, self.charges,
            self.resolutions, self.entries,
        ):  # fmt: skip
            rows.clear()
        self.systems.clear()

    # Looking up ---------------------------------------------------------------------------------------------------

    def account(self, key: AccountKey) -> Account:
        """The account of a key; one that is not there yet is empty and becomes real when it is touched."""
        found = self.accounts.get(key)
        if found is None:
            found = self.accounts[key] = Account(0, key)
            found.status = UNBORN
        return found

    def system(self, account: Account, kind: int) -> int:
        """The id of a system account of the same tenant and asset."""
        key = account.key
        found = self.account(AccountKey(key.tenant, "system", "", kind, key.asset))
        if found.status == UNBORN:
            self.touch_account(found)
        return found.id

    def window(self, key: WindowKey) -> Window:
        """The window of a key; as with accounts, it becomes real when it is touched."""
        found = self.windows.get(key)
        if found is None:
            found = self.windows[key] = Window(0, key)
            found.status = UNBORN
        return found

    def lot(self, account: Account, lot_id: int) -> Lot | None:
        """A lot of the account, with or without units left."""
        for lot in account.lots:
            if lot.id == lot_id:
                return lot
        return self.closed_lots.get(lot_id)

    # Changing: call the touch of a row before changing it ---------------------------------------------------------

    def touch_account(self, account: Account) -> None:
        """Before a change of the account or of what is open in it."""
        if self._journal is not None:
            self._journal.append((account, None, account.save()))
        if account.status == CLEAN:
            account.status = CHANGED
            account.version += 1
            self.changes.accounts.append(account)
        elif account.status == UNBORN:
            account.status = NEW
            account.id = self.next_account_id
            self.next_account_id += 1
            self.changes.accounts_new.append(account)

    def touch_lot(self, lot: Lot) -> None:
        """Before a change of the lot."""
        if self._journal is not None:
            self._journal.append((lot, None, lot.save()))
        if lot.status == CLEAN:
            lot.status = CHANGED
            self.changes.lots.append(lot)

    def touch_hold(self, hold: Hold) -> None:
        """Before a change of the hold."""
        if self._journal is not None:
            self._journal.append((hold, None, hold.save()))
        if hold.status == CLEAN:
            hold.status = CHANGED
            self.changes.holds.append(hold)

    def touch_window(self, window: Window) -> None:
        """Before a change of the window."""
        if self._journal is not None:
            self._journal.append((window, None, window.save()))
        if window.status == CLEAN:
            window.status = CHANGED
            self.changes.windows.append(window)
        elif window.status == UNBORN:
            window.status = NEW
            window.id = self.next_window_id
            self.next_window_id += 1
            self.changes.windows_new.append(window)

    def touch_hold_window(self, part: HoldWindow) -> None:
        """Before a change of a hold's part in a window."""
        if self._journal is not None:
            self._journal.append((part, None, part.save()))
        if part.status == CLEAN:
            part.status = CHANGED
            self.changes.hold_windows.append(part)

    def touch(self, row: ChargeRow | ChargeUse | Resolution) -> None:
        """Before a change of a row that is not stored as such."""
        if self._journal is not None:
            self._journal.append((row, None, row.save()))

    def put(self, rows: dict[Any, Any], key: object, value: object) -> None:
        """Enter something under a key, or take it away (None)."""
        if self._journal is not None:
            self._journal.append((rows, key, rows.get(key)))
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value

    def reserve_id(self) -> int:
        """The next transfer's id."""
        found = self.next_transfer_id
        self.next_transfer_id += 2
        return found

    def transfer(
        self,
        account: Account,
        debit: int,
        credit: int,
        amount: int,
        kind: int,
        code: str,
        *,
        id: int | None = None,  # noqa: A002  # the column's name
        pending_id: int | None = None,
        related_id: int | None = None,
        ref: str | None = None,
        note: str | None = None,
        occurred_us: int | None = None,
    ) -> int:
        """Append one transfer and return its id. Ids are even; an expiry's id is its hold's plus one."""
        if id is None:
            id = self.reserve_id()  # noqa: A001  # the column's name
        if not self.group_id:
            self.group_id = id
        now = self.now_us
        occurred = now if occurred_us is None else occurred_us
        head = (id, account.key.tenant, self.group_id, debit, credit, amount, kind, code)
        self.changes.transfers.append((*head, pending_id, related_id, ref, note, occurred, now, self.batch_id))
        return id

    # Groups -------------------------------------------------------------------------------------------------------

    def open_group(self) -> None:
        """From here on every change can be taken back."""
        self._journal = []
        self._marks = tuple(map(len, self.changes.lists()))

    def keep_group(self) -> None:
        """The group holds: nothing will be taken back."""
        self._journal = None

    def undo_group(self) -> None:
        """Take back every change since `open_group`."""
        journal, self._journal = self._journal or [], None
        for row, key, saved in reversed(journal):
            if isinstance(row, dict):
                self.put(row, key, saved)
            else:
                row.restore(saved)
        for rows, mark in zip(self.changes.lists(), self._marks, strict=True):
            for row in rows[mark:]:
                if isinstance(row, Lot | Hold | HoldWindow) and row.status == CHANGED:
                    row.status = CLEAN
            del rows[mark:]
