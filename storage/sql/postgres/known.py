"""What a process may remember of the database because it never changes: which id a key has, and blocks of new ids."""

from collections.abc import Iterable
from typing import Any

from storage.ledger.state import State
from storage.records.ledger import SYSTEM_KINDS, AccountKey, WindowKey
from storage.sql import ledger_rows as rows
from storage.sql.postgres.connections import Connection
from storage.sql.postgres.statements import arrays, insert, select_by

# Any: the remembered dictionaries differ in their keys only.

BLOCK = 1 << 20
"""Ids that one draw from the sequence gives; what a process does not use is lost, and eight million million draws remain."""
REMEMBERED_MAX = 200_000
_DRAW = "SELECT nextval('id_block')"
_ACCOUNT_KEY = "tenant, owner_type, owner_id, kind, asset"
_ACCOUNTS = select_by("account", _ACCOUNT_KEY, f"id, {_ACCOUNT_KEY}")
_ACCOUNT_NEW = insert("account", rows.ACCOUNT, "ON CONFLICT DO NOTHING")
_WINDOW_KEY = "tenant, subject, resource, period, start_us"
_WINDOWS = select_by("quota_window", _WINDOW_KEY, f"id, {_WINDOW_KEY}")
_WINDOW_NEW = insert("quota_window", f"id, {_WINDOW_KEY}, used, held", "ON CONFLICT DO NOTHING")


def system_keys(tenant: str, asset: str) -> list[AccountKey]:
    """The keys of the system accounts of a tenant and asset."""
    return [AccountKey(tenant, "system", "", kind, asset) for kind in SYSTEM_KINDS]


class Block:
    """Ids that no other process gives."""

    def __init__(self) -> None:
        self.next = self.end = 0

    async def ensure(self, connection: Connection, enough: int) -> None:
        """Have that many at least. A draw is never rolled back and never waits."""
        if self.end - self.next < enough:
            number = await connection.fetchval(_DRAW)
            self.next, self.end = number * BLOCK, (number + 1) * BLOCK

    def take(self) -> int:
        """One id."""
        self.next += 1
        return self.next - 1


class Known:
    """Ids by key, and this process's blocks. Rows that are missing are created empty, in a transaction of their own.

    A row without a balance harms nobody, and inserting it apart keeps the ledger's transactions free of waits for inserts.
    """

    def __init__(self) -> None:
        self.accounts: dict[AccountKey, int] = {}
        self.windows: dict[WindowKey, int] = {}
        self.hold_accounts: dict[int, int] = {}
        self._ids = Block()
        self._transfers = Block()
        self._lots = Block()

    async def learn(self, connection: Connection, accounts: Iterable[AccountKey], windows: Iterable[WindowKey]) -> None:
        """Know the ids of these accounts, of the system accounts beside them, and of these windows."""
        self._trim()
        await self._learn_accounts(connection, accounts)
        await self._learn_windows(connection, windows)
        await self._transfers.ensure(connection, BLOCK // 2)
        await self._lots.ensure(connection, BLOCK // 2)

    def begin(self, state: State) -> None:
        """Let a batch number its rows."""
        state.next_transfer_id = max(2, self._transfers.next)
        state.next_lot_id = max(1, self._lots.next)

    def end(self, state: State) -> None:
        """Go on behind the batch's rows, whether it was kept or not. Raises: OverflowError when it took too many."""
        self._transfers.next, self._lots.next = state.next_transfer_id, state.next_lot_id
        if state.next_transfer_id > self._transfers.end or state.next_lot_id > self._lots.end:
            raise OverflowError("a batch wrote more rows than half a block of ids")

    def remember(self, state: State) -> None:
        """After the commit: whose the new holds are."""
        changes = state.changes
        for hold in changes.holds_new:
            self.hold_accounts[hold.id] = hold.account.id
        for hold_id in changes.holds_closed:
            self.hold_accounts.pop(hold_id, None)

    async def learn_systems(self, connection: Connection, places: Iterable[tuple[str, str]]) -> None:
        """Know the ids of the system accounts of these tenants and assets."""
        await self._make_known(connection, {key for place in places for key in system_keys(*place)})

    async def _learn_accounts(self, connection: Connection, keys: Iterable[AccountKey]) -> None:
        new = {key for key in keys if key not in self.accounts}
        for place in {(key.tenant, key.asset) for key in new}:
            new.update(system_keys(*place))  # first or together: where an account is, its system accounts are
        await self._make_known(connection, new)

    async def _make_known(self, connection: Connection, keys: Iterable[AccountKey]) -> None:
        known = self.accounts
        new = [key for key in keys if key not in known]
        if not new:
            return
        await self._find_accounts(connection, new)
        missing = sorted(key for key in new if key not in known)
        if missing:
            await self._ids.ensure(connection, len(missing))
            made = [(self._ids.take(), *key, 0, 0, 0, "open", 0) for key in missing]
            await connection.execute(_ACCOUNT_NEW, *arrays(made))
            await self._find_accounts(connection, missing)

    async def _find_accounts(self, connection: Connection, keys: Iterable[AccountKey]) -> None:
        for number, *values in await connection.fetch(_ACCOUNTS, *arrays(keys)):
            self.accounts[AccountKey(*values)] = number

    async def _learn_windows(self, connection: Connection, keys: Iterable[WindowKey]) -> None:
        known = self.windows
        new = [key for key in keys if key not in known]
        if not new:
            return
        await self._find_windows(connection, new)
        missing = sorted(key for key in new if key not in known)
        if missing:
            await self._ids.ensure(connection, len(missing))
            made = [(self._ids.take(), *key, 0, 0) for key in missing]
            await connection.execute(_WINDOW_NEW, *arrays(made))
            await self._find_windows(connection, missing)

    async def _find_windows(self, connection: Connection, keys: Iterable[WindowKey]) -> None:
        for number, *values in await connection.fetch(_WINDOWS, *arrays(keys)):
            self.windows[WindowKey(*values)] = number

    def _trim(self) -> None:
        remembered: tuple[dict[Any, int], ...] = (self.accounts, self.windows, self.hold_accounts)
        for found in remembered:
            if len(found) > REMEMBERED_MAX:
                found.clear()  # it all comes back from the database, key by key
