"""The reading half of the store on PostgreSQL: each read sees the last commit and waits for no writer."""
# ruff: noqa: S608  # statements are built from our own column names, never from values

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from storage.ledger.lots import expirable
from storage.records.commands import Forget
from storage.records.kept import KeptRow
from storage.records.ledger import (
    AccountKey,
    Balance,
    Check,
    HoldView,
    Look,
    LotView,
    Page,
    Told,
    TransferView,
    WindowKey,
    WindowView,
    untold,
)
from storage.records.money import NEVER_US
from storage.records.reports import EVERYTHING, Dim, Order, UsageScope, UsageSum, UsageTop
from storage.records.usage import UsageRow
from storage.sql import ledger_rows as rows
from storage.sql.paging import LAST, numbers
from storage.sql.parts import PARTS_US
from storage.sql.postgres.connections import Connection
from storage.sql.postgres.directory import DirectoryReads
from storage.sql.postgres.parts import outlived
from storage.sql.postgres.verifying import verify_over
from storage.sql.pruning import EVENTS_US, ROWS_MAX, forgetting
from storage.sql.usage_answers import Key, Sums, firsts
from storage.sql.usage_questions import POSTGRES, questions, rows_question
from storage.sql.usage_rows import COLUMNS, from_columns
from storage.sql.usage_tops import top_question
from storage.sql.weighing import KEPT_SINCE, kept_of

# Any: rows are the driver's; the tables give their types.


def _of(alias: str, columns: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in columns.split(", "))


_FIRST_EXPIRY = "(SELECT min(l.expires_us+0) FROM lot l WHERE l.account_id=a.id AND l.remaining>0)"
"""`+0`: by the account's lots, however young; an index of all expiries would be walked for the first one of the account."""
_BALANCE = (
    f"SELECT {_of('a', rows.ACCOUNT)}, {_FIRST_EXPIRY} FROM account a "
    "WHERE tenant=$1 AND owner_type=$2 AND owner_id=$3 AND kind=$4 AND asset=$5"
)
_WINDOWS_MAX = 4
"""Windows in one look; of more, each lot is a round trip."""


def _look(count: int) -> str:
    """An account, in a row whose last column is not NULL, and so many windows.

    Each window has parameters of its own: for arrays of them the server would plan anew each time (measured: 320 microseconds
    instead of 120), because it does not know how long they are.
    """
    account = (
        f"SELECT a.id, NULL::text, NULL::text, NULL::text, NULL::text, {_FIRST_EXPIRY}, a.posted, a.held, a.overdraft, "
        "NULL::text, NULL::bigint, NULL::bigint, a.state FROM account a "
        "WHERE tenant=$1 AND owner_type=$2 AND owner_id=$3 AND kind=$4 AND asset=$5"
    )
    windows = [
        f"SELECT {rows.WINDOW}, NULL::text FROM quota_window WHERE tenant=${at} AND subject=${at + 1} "
        f"AND resource=${at + 2} AND period=${at + 3} AND start_us=${at + 4}"
        for at in range(6, 6 + 5 * count, 5)
    ]
    return " UNION ALL ".join([account, *windows])


_LOOKS = tuple(_look(count) for count in range(_WINDOWS_MAX + 1))
_NO_ACCOUNT = AccountKey("", "", "", 0, "")
_ACCOUNTS = (
    f"SELECT {_of('a', rows.ACCOUNT)}, {_FIRST_EXPIRY} FROM account a WHERE tenant=$1 AND kind<100 AND id>$2 "
    "ORDER BY id LIMIT $3"
)
_ACCOUNT = f"SELECT {rows.ACCOUNT} FROM account WHERE id=$1"
_ID = "(SELECT id FROM account WHERE tenant=$1 AND owner_type=$2 AND owner_id=$3 AND kind=$4 AND asset=$5)"
_OPEN = f"SELECT {rows.LOT} FROM lot WHERE account_id=$1 AND remaining>0 ORDER BY priority, expires_us, id"
_HOLDS_BY_ID = f"SELECT {rows.HOLD} FROM hold WHERE account_id=$1 ORDER BY transfer_id"
_LOTS = f"SELECT {rows.LOT} FROM lot WHERE account_id={_ID} AND remaining>0 ORDER BY priority, expires_us, id"
_ALL_LOTS = f"SELECT {rows.LOT} FROM lot WHERE account_id={_ID} ORDER BY priority, expires_us, id"
_HOLDS = f"SELECT {rows.HOLD} FROM hold WHERE account_id={_ID} ORDER BY transfer_id"
_SIDE = (
    f"(SELECT {rows.TRANSFER}, {{other}} AS other FROM transfer WHERE {{side}}={_ID} AND {rows.MOVED} "
    "AND (batch_id, id) < ($6, $7) ORDER BY batch_id DESC, id DESC LIMIT $8)"
)
_TRANSFERS = (
    f"SELECT t.*, {_of('a', rows.ACCOUNT)} FROM ("
    f"{_SIDE.format(side='debit_account', other='credit_account')} UNION ALL "
    f"{_SIDE.format(side='credit_account', other='debit_account')}"
    ") t JOIN account a ON a.id=t.other ORDER BY t.batch_id DESC, t.id DESC LIMIT $8"
)
_WINDOWS = (
    f"SELECT {rows.WINDOW} FROM quota_window WHERE tenant=$1 AND subject=$2 ORDER BY start_us DESC, resource, period"
)
_WINDOW = f"SELECT {rows.WINDOW} FROM quota_window WHERE tenant=$1 AND subject=$2 AND resource=$3 AND period=$4 AND start_us=$5"
_SYSTEM = (
    "SELECT coalesce(sum(s*(amount/1000000000)),0), coalesce(sum(s*(amount%1000000000)),0) FROM "
    f"(SELECT 1 AS s, amount FROM transfer WHERE credit_account={_ID} AND {rows.MOVED} "
    f"UNION ALL SELECT -1, amount FROM transfer WHERE debit_account={_ID} AND {rows.MOVED}) t"
)
_TOTALS = (
    "SELECT code, sum(s*(amount/1000000000)), sum(s*(amount%1000000000)) FROM "
    f"(SELECT 1 AS s, code, amount FROM transfer WHERE credit_account={_ID} AND {rows.MOVED} "
    f"UNION ALL SELECT -1, code, amount FROM transfer WHERE debit_account={_ID} AND {rows.MOVED}) t GROUP BY code"
)
_OUTBOX_OLDEST = (
    "SELECT id FROM (SELECT id, state, next_us FROM outbox WHERE id>0 ORDER BY id LIMIT $1) o "
    "WHERE state='delivered' AND next_us<$2"
)
_IDEM_OLDEST = "SELECT tenant, scope, key FROM idem WHERE expires_us<=$1 ORDER BY expires_us LIMIT $2"
_KEPT_COUNT = "SELECT count(*) FROM kept WHERE tenant=$1 AND kind=ANY($2::text[])"
_KEPT = f"SELECT id, {rows.KEPT} FROM kept WHERE tenant=$1 AND kind=$2 ORDER BY id"
_KEPT_OF_KEY = f"SELECT id, {rows.KEPT} FROM kept WHERE tenant=$1 AND kind=$2 AND key=$3 ORDER BY id"
_DUE_HOLDS = (
    "SELECT a.tenant, h.transfer_id FROM hold h JOIN account a ON a.id=h.account_id WHERE h.expires_us<=$1 "
    "ORDER BY h.expires_us, h.transfer_id LIMIT $2"
)
_DUE_ACCOUNTS = (
    "SELECT a.tenant, a.owner_type, a.owner_id, a.kind, a.asset FROM (SELECT DISTINCT account_id FROM lot "
    "WHERE remaining>0 AND expires_us<=$1 LIMIT $2) l JOIN account a ON a.id=l.account_id"
)


class PostgresReader(DirectoryReads):
    """Reads of one database. See `storage.store.Reader` for the promises."""

    async def ping(self) -> None:
        """Return if the database answers."""
        await self._pool.fetch("SELECT 1 FROM usage LIMIT 1")

    async def balance(self, key: AccountKey) -> Balance:
        """The balance; zeros for an account that nothing has touched yet."""
        found = await self._pool.fetch(_BALANCE, *key)
        return await self._balance(found[0]) if found else Balance()

    async def look(self, windows: Sequence[WindowKey], account: AccountKey | None) -> Look:
        """Windows and an account in one round trip."""
        return (await self.look_until(windows, account))[0]

    async def look_until(self, windows: Sequence[WindowKey], account: AccountKey | None) -> tuple[Look, int]:
        """The same, and when the account's next lot expires: what time alone changes."""
        found = {key: WindowView(key, 0, 0) for key in windows}
        balance, account_id, until_us = Balance(), 0, NEVER_US
        for row in await self._looked(windows, account or _NO_ACCOUNT):
            *values, state = row
            if state is None:
                view = rows.window_view(tuple(values))
                found[view.key] = view
                continue
            account_id, until_us = values[0], NEVER_US if values[5] is None else values[5]
            posted, held, overdraft = values[6:9]
            balance = Balance(posted, held, overdraft, state=state)
        if until_us <= self._clock_us():
            balance = await self._pool.snapshot(lambda connection: self._expired(connection, account_id))
        return Look(found, balance), until_us

    async def _looked(self, windows: Sequence[WindowKey], account: AccountKey) -> list[Any]:
        first, more = windows[:_WINDOWS_MAX], windows[_WINDOWS_MAX:]
        found = await self._pool.fetch(_LOOKS[len(first)], *account, *chain.from_iterable(first))
        return found + await self._looked(more, _NO_ACCOUNT) if more else found

    async def _balance(self, row: Any) -> Balance:
        *values, first_us = row
        if first_us is None or first_us > self._clock_us():
            return rows.balance_of(tuple(values), 0)
        return await self._pool.snapshot(lambda connection: self._expired(connection, values[0]))

    async def _expired(self, connection: Connection, account_id: int) -> Balance:
        """The balance of an account with lots past their expiry: what may be taken follows from its lots and holds."""
        values = await connection.fetchrow(_ACCOUNT, account_id)
        account = rows.account_of(values)
        account.lots = [rows.lot_of(found) for found in await connection.fetch(_OPEN, account_id)]
        holds = await connection.fetch(_HOLDS_BY_ID, account_id)
        account.holds = {found[0]: rows.hold_of(found, account) for found in holds}
        return rows.balance_of(values, sum(amount for _, amount in expirable(account, self._clock_us())))

    async def totals(self, key: AccountKey) -> Mapping[str, int]:
        """What ever moved on the account, signed, by code."""
        found = await self._pool.fetch(_TOTALS, *key)
        return {code: int(whole) * 1_000_000_000 + int(part) for code, whole, part in found}

    async def lots(self, key: AccountKey, *, with_empty: bool = False) -> tuple[LotView, ...]:
        """The account's lots in the order of spending."""
        found = await self._pool.fetch(_ALL_LOTS if with_empty else _LOTS, *key)
        return tuple(rows.lot_view(values, key) for values in found)

    async def holds(self, key: AccountKey) -> tuple[HoldView, ...]:
        """The account's open holds, oldest first."""
        return tuple(rows.hold_view(values, key) for values in await self._pool.fetch(_HOLDS, *key))

    async def transfers(self, key: AccountKey, *, limit: int = 50, cursor: str | None = None) -> Page[TransferView]:
        """The account's movements, newest first."""
        found = await self._pool.fetch(_TRANSFERS, *key, *numbers(cursor, (LAST, LAST)), limit + 1)
        page = [tuple(row) for row in found[:limit]]
        views = tuple(_transfer(row) for row in page)
        return Page(views, f"{page[-1][14]}.{page[-1][0]}" if len(found) > limit else None)

    async def windows(self, tenant: str, subject: str) -> tuple[WindowView, ...]:
        """Every window of a subject, the newest period first."""
        return tuple(rows.window_view(values) for values in await self._pool.fetch(_WINDOWS, tenant, subject))

    async def window(self, key: WindowKey) -> WindowView:
        """One window's counters; zeros where nothing was counted yet."""
        found = await self._pool.fetch(_WINDOW, *key)
        return rows.window_view(found[0]) if found else WindowView(key, 0, 0)

    async def accounts(
        self, tenant: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[tuple[AccountKey, Balance]]:
        """The customers' accounts, oldest first."""
        found = await self._pool.fetch(_ACCOUNTS, tenant, *numbers(cursor, (0,)), limit + 1)
        page = found[:limit]
        views = [(AccountKey(*values[1:6]), await self._balance(values)) for values in page]
        return Page(tuple(views), str(page[-1][0]) if len(found) > limit else None)

    async def system_balance(self, key: AccountKey) -> int:
        """What a system account received less what it gave, summed in two parts so that no sum overflows."""
        ((whole, part),) = await self._pool.fetch(_SYSTEM, *key)
        return int(whole) * 1_000_000_000 + int(part)

    async def usage(
        self,
        tenant: str,
        user_id: str | None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        since_us: int = 0,
        until_us: int = LAST,
        organization_id: str | None = None,
        where: Mapping[Dim, str | None] = EVERYTHING,
    ) -> Page[UsageRow]:
        """Usage rows, newest first."""
        scope = UsageScope(tenant, user_id, organization_id, where)
        after = numbers(cursor, (LAST, LAST))
        statement, values = rows_question(
            POSTGRES, scope, since_us=since_us, until_us=until_us, after=after, limit=limit + 1
        )
        found = await self._pool.fetch(statement, *values)
        page = [tuple(row) for row in found[:limit]]
        last = page[-1] if len(found) > limit else None
        next_cursor = f"{last[1 + COLUMNS.index('occurred_us')]}.{last[0]}" if last else None
        return Page(tuple(from_columns(row[1:]) for row in page), next_cursor)

    async def usage_sums(
        self, scope: UsageScope, edges_us: Sequence[int], *, by: Sequence[Dim] = (), sums_max: int | None = None
    ) -> tuple[UsageSum, ...]:
        """Sums of usage rows, of one snapshot. Raises: TooManySums."""
        asked = partial(_summed, scope=scope, edges_us=edges_us, by=by, sums_max=sums_max)
        return (await self._pool.snapshot(asked)).sums("tokens")

    async def usage_top(
        self, scope: UsageScope, edges_us: Sequence[int], *, by: Sequence[Dim], limit: int, order: Order = "tokens"
    ) -> UsageTop:
        """First which come first, then what they come to, of one snapshot."""

        async def read(connection: Connection) -> UsageTop:
            kept = kept_of(await connection.fetch(KEPT_SINCE))
            statement, values = top_question(POSTGRES, scope, edges_us, by, order, limit, kept=kept)
            only, count = firsts(await connection.fetch(statement, *values), limit)
            sums = (await _summed(connection, scope, edges_us, by, only)).sums(order) if only else ()
            return UsageTop(sums, count)

        return await self._pool.snapshot(read)

    async def kept(self, tenant: str, kind: str, key: str | None = None) -> tuple[KeptRow, ...]:
        """Kept rows, the oldest first."""
        if key is None:
            found = await self._pool.fetch(_KEPT, tenant, kind)
        else:
            found = await self._pool.fetch(_KEPT_OF_KEY, tenant, kind, key)
        return tuple(rows.kept_of(row) for row in found)

    async def kept_count(self, tenant: str, kinds: Sequence[str]) -> int:
        """How many kept rows of these kinds there are."""
        ((count,),) = await self._pool.fetch(_KEPT_COUNT, tenant, list(kinds))
        return int(count)

    async def verify(self, told: Told = untold) -> list[Check]:
        """Prove the ledger's invariants, over a connection of its own, while traffic goes on."""
        return await self._pool.alone(lambda connection: verify_over(connection, self._clock_us, told))

    async def outlived(self) -> Forget:
        """Rows that have outlived their time, usage apart: the first few of each kind."""
        now = self._clock_us()
        events = await self._pool.fetch(_OUTBOX_OLDEST, ROWS_MAX, now - EVENTS_US)
        keys = await self._pool.fetch(_IDEM_OLDEST, now, ROWS_MAX)
        parts = await outlived(self._pool.fetch, now - PARTS_US)
        return forgetting(
            [],
            [(tenant, scope, key) for tenant, scope, key in keys],
            [event for (event,) in events],
            parts,
            usage_before_us=0,
        )

    async def mark(self) -> int:
        """How far days are summed up."""
        return kept_of(await self._pool.fetch(KEPT_SINCE)).mark

    async def due(self, limit: int) -> tuple[list[tuple[str, int]], list[AccountKey]]:
        """Holds whose time has come (tenant, id) and accounts with lots past their expiry."""
        now = self._clock_us()
        holds = await self._pool.fetch(_DUE_HOLDS, now, limit)
        accounts = await self._pool.fetch(_DUE_ACCOUNTS, now, limit)
        return [(tenant, hold_id) for tenant, hold_id in holds], [AccountKey(*values) for values in accounts]


def _transfer(row: tuple[Any, ...]) -> TransferView:
    """A row of `_TRANSFERS`: the transfer, the other side's id, the other side's account."""
    values, other = row[:15], row[15]
    account_id = values[4] if other == values[3] else values[3]
    return rows.transfer_view(values, account_id, AccountKey(*row[17:22]))


async def _summed(
    connection: Connection,
    scope: UsageScope,
    edges_us: Sequence[int],
    by: Sequence[Dim],
    only: frozenset[Key] | None = None,
    sums_max: int | None = None,
) -> Sums:
    sums, kept = Sums(len(by), sums_max), kept_of(await connection.fetch(KEPT_SINCE))
    for statement, values in questions(POSTGRES, scope, edges_us, by, only, kept=kept, sums_max=sums_max):
        sums.add(await connection.fetch(statement, *values))
    return sums
