"""Reads over a read-only connection: they see the last commit, and never wait for the writer."""
# ruff: noqa: S608  # statements are built from our own column names, never from values

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from storage.ledger.lots import expirable
from storage.ledger.rows import Account
from storage.records.commands import Forget
from storage.records.kept import KeptRow
from storage.records.ledger import (
    AccountKey,
    Balance,
    HoldView,
    Look,
    LotView,
    Page,
    TransferView,
    WindowKey,
    WindowView,
)
from storage.records.money import NEVER_US
from storage.records.reports import Dim, Order, UsageScope, UsageSum, UsageTop
from storage.records.usage import UsageRow
from storage.sql import ledger_rows as rows
from storage.sql.paging import LAST, numbers
from storage.sql.parts import PARTS_US, leading
from storage.sql.parts import ROWS_MAX as PARTS_MAX
from storage.sql.pruning import EVENTS_US, ROWS_MAX, forgetting
from storage.sql.sqlite.parts import OLDEST as OLDEST_PARTS
from storage.sql.usage_answers import Key, Sums, firsts
from storage.sql.usage_questions import SQLITE, questions, rows_question
from storage.sql.usage_rows import COLUMNS, from_columns
from storage.sql.usage_tops import top_question
from storage.sql.waiting import unavailable
from storage.sql.weighing import KEPT_SINCE, Kept, kept_of

# Any: columns come from the driver; the table gives their types.

_KEY = "tenant=? AND owner_type=? AND owner_id=? AND kind=? AND asset=?"
_ACCOUNT = f"SELECT {rows.ACCOUNT} FROM account WHERE {_KEY}"
_LOTS = f"SELECT {rows.LOT} FROM lot WHERE account_id=? AND remaining>=? ORDER BY priority, expires_us, id"
_FIRST_EXPIRY = "SELECT min(expires_us+0) FROM lot WHERE account_id=? AND remaining>0"
"""`+0`: by the account's lots, however young; an index of all expiries would be walked for the first one of the account."""
_HOLDS = f"SELECT {rows.HOLD} FROM hold WHERE account_id=? ORDER BY transfer_id"
_OPEN = f"SELECT {rows.LOT} FROM lot WHERE account_id=? AND remaining>0 ORDER BY priority, expires_us, id"
_SIDE = (
    f"SELECT * FROM (SELECT {rows.TRANSFER} FROM transfer WHERE {{}}=:account AND {rows.MOVED} "
    "AND (batch_id, id) < (:batch, :id) ORDER BY batch_id DESC, id DESC LIMIT :limit)"
)
_NEWEST = "ORDER BY batch_id DESC, id DESC LIMIT :limit"
_TRANSFERS = f"{_SIDE.format('debit_account')} UNION ALL {_SIDE.format('credit_account')} {_NEWEST}"
_WINDOWS = (
    f"SELECT {rows.WINDOW} FROM quota_window WHERE tenant=? AND subject=? ORDER BY start_us DESC, resource, period"
)
_WINDOW = (
    f"SELECT {rows.WINDOW} FROM quota_window WHERE tenant=? AND subject=? AND resource=? AND period=? AND start_us=?"
)
_ACCOUNTS = f"SELECT {rows.ACCOUNT} FROM account WHERE tenant=? AND kind<100 AND id>? ORDER BY id LIMIT ?"
_SYSTEM = (
    "SELECT coalesce(sum(s*(amount/1000000000)),0), coalesce(sum(s*(amount%1000000000)),0) FROM "
    f"(SELECT 1 AS s, amount FROM transfer WHERE credit_account=:id AND {rows.MOVED} "
    f"UNION ALL SELECT -1, amount FROM transfer WHERE debit_account=:id AND {rows.MOVED})"
)
_TOTALS = (
    "SELECT code, sum(s*(amount/1000000000)), sum(s*(amount%1000000000)) FROM "
    f"(SELECT 1 AS s, code, amount FROM transfer WHERE credit_account=:id AND {rows.MOVED} "
    f"UNION ALL SELECT -1, code, amount FROM transfer WHERE debit_account=:id AND {rows.MOVED}) GROUP BY code"
)
_TENANTS = (
    "WITH RECURSIVE each(tenant) AS (SELECT min(tenant) FROM usage UNION ALL "
    "SELECT (SELECT min(u.tenant) FROM usage u WHERE u.tenant>each.tenant) FROM each WHERE each.tenant IS NOT NULL) "
    "SELECT tenant FROM each WHERE tenant IS NOT NULL"
)
_USAGE_OLDEST = (  # by when they happened: an event that was told of late stands behind younger rows
    f"SELECT u.seq FROM ({_TENANTS}) t CROSS JOIN usage u INDEXED BY usage_by_time "
    "WHERE u.tenant=t.tenant AND u.occurred_us<?2 LIMIT ?1"
)
_OUTBOX_OLDEST = (
    "SELECT id FROM (SELECT id, state, next_us FROM outbox WHERE id>0 ORDER BY id LIMIT ?) "
    "WHERE state='delivered' AND next_us<?"
)
_IDEM_OLDEST = "SELECT tenant, scope, key FROM idem WHERE expires_us<=? ORDER BY expires_us LIMIT ?"
_KEPT = f"SELECT id, {rows.KEPT} FROM kept WHERE tenant=:tenant AND kind=:kind"


class Readers:
    """Point reads and pages. The loop's thread uses it directly: one row costs less than a hop to another thread."""

    def __init__(self, connection: sqlite3.Connection, clock_us: Callable[[], int]) -> None:
        self._connection = connection
        self._clock_us = clock_us

    def _all(self, statement: str, values: Any = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as failed:
            raise unavailable(failed) from failed

    def fetch(self, statement: str, values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement. Raises: StorageUnavailable."""
        return self._all(statement, values)

    def _id(self, key: AccountKey) -> int:
        found = self._all(_ACCOUNT, key)
        return int(found[0][0]) if found else 0

    def ping(self) -> None:
        """Return if the file answers."""
        self._all("SELECT 1 FROM usage LIMIT 1")

    def balance(self, key: AccountKey) -> Balance:
        """The balance; zeros for an account that nothing has touched yet."""
        return self._balance_until(key)[0]

    def look_until(self, windows: Sequence[WindowKey], account: AccountKey | None) -> tuple[Look, int]:
        """Windows and an account, and when its next lot expires: what time alone changes."""
        balance, until_us = (Balance(), NEVER_US) if account is None else self._balance_until(account)
        return Look({key: self.window(key) for key in windows}, balance), until_us

    def _balance_until(self, key: AccountKey) -> tuple[Balance, int]:
        found = self._all(_ACCOUNT, key)
        return self._balance(found[0]) if found else (Balance(), NEVER_US)

    def _balance(self, values: tuple[Any, ...]) -> tuple[Balance, int]:
        now = self._clock_us()
        ((first_us,),) = self._all(_FIRST_EXPIRY, (values[0],))
        until_us = NEVER_US if first_us is None else int(first_us)
        gone = sum(amount for _, amount in expirable(self._opened(values), now)) if until_us <= now else 0
        return rows.balance_of(values, gone), until_us

    def _opened(self, values: tuple[Any, ...]) -> Account:
        account = rows.account_of(values)
        account.lots = [rows.lot_of(found) for found in self._all(_OPEN, (account.id,))]
        account.holds = {found[0]: rows.hold_of(found, account) for found in self._all(_HOLDS, (account.id,))}
        return account

    def totals(self, key: AccountKey) -> dict[str, int]:
        """What ever moved on the account, signed, by code."""
        found = self._all(_TOTALS, {"id": self._id(key)})
        return {code: int(whole) * 1_000_000_000 + int(part) for code, whole, part in found}

    def lots(self, key: AccountKey, *, with_empty: bool) -> tuple[LotView, ...]:
        """The account's lots in the order of spending."""
        found = self._all(_LOTS, (self._id(key), 0 if with_empty else 1))
        return tuple(rows.lot_view(values, key) for values in found)

    def holds(self, key: AccountKey) -> tuple[HoldView, ...]:
        """The account's open holds, oldest first."""
        return tuple(rows.hold_view(values, key) for values in self._all(_HOLDS, (self._id(key),)))

    def transfers(self, key: AccountKey, limit: int, cursor: str | None) -> Page[TransferView]:
        """The account's movements, newest first."""
        account_id = self._id(key)
        batch, last = numbers(cursor, (LAST, LAST))
        asked = {"account": account_id, "batch": batch, "id": last, "limit": limit + 1}
        found = self._all(_TRANSFERS, asked)
        page = found[:limit]
        views = tuple(
            rows.transfer_view(row, account_id, self._key(row[4] if row[3] == account_id else row[3])) for row in page
        )
        return Page(views, f"{page[-1][14]}.{page[-1][0]}" if len(found) > limit else None)

    def _key(self, account_id: int) -> AccountKey:
        (values,) = self._all(f"SELECT {rows.ACCOUNT} FROM account WHERE id=?", (account_id,))
        return AccountKey(*values[1:6])

    def windows(self, tenant: str, subject: str) -> tuple[WindowView, ...]:
        """Every window of a subject, the newest period first."""
        return tuple(rows.window_view(values) for values in self._all(_WINDOWS, (tenant, subject)))

    def window(self, key: WindowKey) -> WindowView:
        """One window's counters; zeros where nothing was counted yet."""
        found = self._all(_WINDOW, key)
        return rows.window_view(found[0]) if found else WindowView(key, 0, 0)

    def accounts(self, tenant: str, limit: int, cursor: str | None) -> Page[tuple[AccountKey, Balance]]:
        """The customers' accounts, oldest first."""
        found = self._all(_ACCOUNTS, (tenant, *numbers(cursor, (0,)), limit + 1))
        page = found[:limit]
        views = tuple((AccountKey(*values[1:6]), self._balance(values)[0]) for values in page)
        return Page(views, str(page[-1][0]) if len(found) > limit else None)

    def system_balance(self, key: AccountKey) -> int:
        """What a system account received less what it gave, summed in two parts so that no sum overflows."""
        ((whole, part),) = self._all(_SYSTEM, {"id": self._id(key)})
        return int(whole) * 1_000_000_000 + int(part)

    def usage(self, scope: UsageScope, limit: int, cursor: str | None, since_us: int, until_us: int) -> Page[UsageRow]:
        """Usage rows, newest first."""
        after = numbers(cursor, (LAST, LAST))
        found = self._all(
            *rows_question(SQLITE, scope, since_us=since_us, until_us=until_us, after=after, limit=limit + 1)
        )
        page = found[:limit]
        cut = 1 + COLUMNS.index("occurred_us")
        return Page(
            tuple(from_columns(row[1:]) for row in page),
            f"{page[-1][cut]}.{page[-1][0]}" if len(found) > limit else None,
        )

    def usage_sums(
        self, scope: UsageScope, edges_us: Sequence[int], by: Sequence[Dim], sums_max: int | None
    ) -> tuple[UsageSum, ...]:
        """Sums of usage rows. The connection is in a snapshot. Raises: TooManySums."""
        return self._summed(scope, edges_us, by, None, sums_max).sums("tokens")

    def usage_top(
        self, scope: UsageScope, edges_us: Sequence[int], by: Sequence[Dim], limit: int, order: Order
    ) -> UsageTop:
        """First which come first, then what they come to. The connection is in a snapshot."""
        question = top_question(SQLITE, scope, edges_us, by, order, limit, kept=self._kept())
        only, count = firsts(self._all(*question), limit)
        sums = self._summed(scope, edges_us, by, only).sums(order) if only else ()
        return UsageTop(sums, count)

    def _summed(
        self,
        scope: UsageScope,
        edges_us: Sequence[int],
        by: Sequence[Dim],
        only: frozenset[Key] | None,
        sums_max: int | None = None,
    ) -> Sums:
        sums = Sums(len(by), sums_max)
        for question in questions(SQLITE, scope, edges_us, by, only, kept=self._kept(), sums_max=sums_max):
            sums.add(self._all(*question))
        return sums

    def _kept(self) -> Kept:
        return kept_of(self._all(KEPT_SINCE))

    def mark(self) -> int:
        """How far days are summed up."""
        return self._kept().mark

    def kept(self, tenant: str, kind: str, key: str | None) -> tuple[KeptRow, ...]:
        """Kept rows, the oldest first."""
        asked = {"tenant": tenant, "kind": kind, "key": key}
        only = "" if key is None else " AND key=:key"
        return tuple(rows.kept_of(row) for row in self._all(f"{_KEPT}{only} ORDER BY id", asked))

    def kept_count(self, tenant: str, kinds: Sequence[str]) -> int:
        """How many kept rows of these kinds there are."""
        places = ", ".join("?" * len(kinds))
        ((count,),) = self._all(f"SELECT count(*) FROM kept WHERE tenant=? AND kind IN ({places})", (tenant, *kinds))
        return int(count)

    def outlived(self, usage_before_us: int) -> Forget:
        """Rows that have outlived their time: the first few of each kind."""
        now = self._clock_us()
        usage = self._all(_USAGE_OLDEST, (ROWS_MAX, usage_before_us))
        events = self._all(_OUTBOX_OLDEST, (ROWS_MAX, now - EVENTS_US))
        keys = self._all(_IDEM_OLDEST, (now, ROWS_MAX))
        parts = self._all(OLDEST_PARTS, {"before": now - PARTS_US, "limit": PARTS_MAX})
        return forgetting(
            [seq for (seq,) in usage],
            [(tenant, scope, key) for tenant, scope, key in keys],
            [event for (event,) in events],
            leading(parts),
            usage_before_us=usage_before_us,
        )

    def due(self, limit: int) -> tuple[list[tuple[str, int]], list[AccountKey]]:
        """Holds whose time has come (tenant, id) and accounts with lots past their expiry."""
        now = self._clock_us()
        holds = self._all(
            "SELECT a.tenant, h.transfer_id FROM hold h JOIN account a ON a.id=h.account_id WHERE h.expires_us<=? "
            "ORDER BY h.expires_us, h.transfer_id LIMIT ?",
            (now, limit),
        )
        accounts = self._all(
            "SELECT DISTINCT a.tenant, a.owner_type, a.owner_id, a.kind, a.asset FROM lot l JOIN account a ON a.id=l.account_id "
            "WHERE l.remaining>0 AND l.expires_us<=? LIMIT ?",
            (now, limit),
        )
        return [(tenant, hold_id) for tenant, hold_id in holds], [AccountKey(*values) for values in accounts]
