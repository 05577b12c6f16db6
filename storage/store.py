"""The store as every floor above sees it: what can be kept and asked, whatever database is below. No SQL here."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from storage.errors import StoreRefused
from storage.records.commands import Command, Done, Outcome, Refusal
from storage.records.directory import DirectoryEntry
from storage.records.kept import KeptRow, Outgoing
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
from storage.records.money import AMOUNT_MAX
from storage.records.reports import EVERYTHING, Dim, Order, UsageScope, UsageSum, UsageTop
from storage.records.usage import UsageRow
from storage.sql.remembered import REMEMBERED_US_MAX
from storage.sql.waiting import Committed, unheard


class Counters(Protocol):
    """Where accounts and quotas stand, and nothing else. Every method may raise StorageUnavailable."""

    async def balance(self, key: AccountKey) -> Balance:
        """The balance; zeros for an account that nothing has touched yet."""
        ...

    async def window(self, key: WindowKey) -> WindowView:
        """One quota window's counters; zeros where nothing was counted yet."""
        ...

    async def look(self, windows: Sequence[WindowKey], account: AccountKey | None) -> Look:
        """Windows and an account in one question."""
        ...


class Reader(Counters, Protocol):
    """What can be asked. Every method may raise StorageUnavailable.

    Reads see the last commit. Pages run from the newest row, on cursors that other commits do not shift.
    """

    async def ping(self) -> None:
        """Return if the database answers."""
        ...

    async def system_balance(self, key: AccountKey) -> int:
        """What a system account received less what it gave."""
        ...

    async def totals(self, key: AccountKey) -> Mapping[str, int]:
        """What ever moved on the account, by the code of the movement, signed; their sum is what is posted.

        It walks all movements of the account: for a balance page, not for every call.
        """
        ...

    async def lots(self, key: AccountKey, *, with_empty: bool = False) -> tuple[LotView, ...]:
        """The account's lots in the order of spending."""
        ...

    async def holds(self, key: AccountKey) -> tuple[HoldView, ...]:
        """The account's open holds, oldest first."""
        ...

    async def transfers(self, key: AccountKey, *, limit: int = 50, cursor: str | None = None) -> Page[TransferView]:
        """The account's movements; holds, releases and what took nothing move nothing."""
        ...

    async def windows(self, tenant: str, subject: str) -> tuple[WindowView, ...]:
        """Every quota window of a subject, the newest period first."""
        ...

    async def accounts(
        self, tenant: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[tuple[AccountKey, Balance]]:
        """The customers' accounts, oldest first."""
        ...

    async def usage(
        self,
        tenant: str,
        user_id: str | None,
        *,
        limit: int = 50,
        cursor: str | None = None,
        since_us: int = 0,
        until_us: int = AMOUNT_MAX,
        organization_id: str | None = None,
        where: Mapping[Dim, str | None] = EVERYTHING,
    ) -> Page[UsageRow]:
        """Usage rows from `since_us` (included) to `until_us` (not). `user_id` None: everybody's.

        `where`: the value that each of these dimensions must have; None: must be without one.
        """
        ...

    async def usage_sums(
        self,
        scope: UsageScope,
        edges_us: Sequence[int],
        *,
        by: Sequence[Dim] = (),
        sums_max: int | None = None,
    ) -> tuple[UsageSum, ...]:
        """Sums of usage rows, exact at any edges. Consecutive edges, rising, bound buckets: [a, b), [b, c) and so on.

        `by`: one sum for each combination of these dimensions' values that occurs in a bucket; empty buckets are absent.
        They come bucket after bucket, within one those with the most tokens first.

        Raises: TooManySums where there are more than `sums_max`, before more than a few times as many are read.
        """
        ...

    async def usage_top(
        self, scope: UsageScope, edges_us: Sequence[int], *, by: Sequence[Dim], limit: int, order: Order = "tokens"
    ) -> UsageTop:
        """The same of only so many combinations, those that come to the most of `order` over the whole range.

        They come bucket after bucket, within one those that come first by `order`. `limit` 0: they are only counted.
        """
        ...

    async def kept(self, tenant: str, kind: str, key: str | None = None) -> tuple[KeptRow, ...]:
        """Kept rows of a kind, the oldest first; of one key, or of all."""
        ...

    async def kept_count(self, tenant: str, kinds: Sequence[str]) -> int:
        """How many kept rows of these kinds there are: it grows with every one that becomes visible."""
        ...

    async def kept_page(
        self, tenant: str, kind: str, *, key: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[KeptRow]:
        """Kept rows of a kind, the newest first; of one key, or of all. Answers are not among them."""
        ...

    async def entry(self, tenant: str, kind: str, key: str) -> DirectoryEntry | None:
        """A directory entry; None where there is none that is live now."""
        ...

    async def entries_of(self, tenant: str, owner: str) -> tuple[DirectoryEntry, ...]:
        """Every live entry of one owner, of all kinds."""
        ...

    async def entries(
        self, tenant: str, kind: str, *, within: str = "", limit: int = 50, cursor: str | None = None
    ) -> Page[DirectoryEntry]:
        """The live entries of a kind whose keys begin with `within`, in the order of their keys."""
        ...

    async def entries_changed(self, after_seq: int, limit: int) -> tuple[tuple[DirectoryEntry, ...], int]:
        """The first entries changed after `after_seq`, dead ones too, and the last seq among them.

        A change that another process commits later has a greater seq, so whoever goes on from there misses none.
        """
        ...

    async def outbox(self, after_id: int, limit: int) -> tuple[Outgoing, ...]:
        """The first outgoing events after an id, in the order of their ids.

        On a database that several processes write, an event of a smaller id may become visible after one of a greater.
        """
        ...

    async def outbox_last(self) -> int:
        """The id of the last outgoing event; 0: there is none."""
        ...

    async def directory_seq(self) -> int:
        """The seq of the last change of the directory; 0: nothing was ever put."""
        ...

    async def verify(self, told: Told = untold) -> list[Check]:
        """Prove the ledger's invariants while traffic goes on, each on commits of its own."""
        ...


class Store(Reader, Protocol):
    """What is kept, and the promises kept with it. Every method may raise StorageUnavailable; then nothing was written."""

    @property
    def remembered(self) -> Counters:
        """The same figures from memory, for checks before a call: a call itself is decided in its commit.

        They are those after the last commit of this process. On a database that several processes write, the others' commits
        are seen when what was read before is `remembered_us_max` old.
        """
        ...

    def submit(self, command: Command) -> Awaitable[Outcome]:
        """Apply one command; it is durable once the outcome is there. A refusal is an answer, not an exception."""
        ...

    def submit_together(self, commands: Sequence[Command]) -> Awaitable[tuple[Done, ...] | Refusal]:
        """Apply all commands or none, in one commit. `Refusal.index` says which one was refused."""
        ...

    async def submit_each(
        self, commands: Sequence[Command | Sequence[Command]]
    ) -> Sequence[Outcome | tuple[Done, ...] | Exception]:
        """Apply or refuse each command, or each group of commands, by itself: many of one waiter in few commits.

        An exception stands where a command's own mistake stopped it. Raises: StorageUnavailable, when some may be applied.
        """
        ...

    async def record_usage(self, row: UsageRow) -> None:
        """Keep one usage row; it is durable when this returns. The same id again changes nothing."""
        ...

    async def sweep(self) -> int:
        """Expire every hold and lot whose time has come; returns how many holds and accounts it went through."""
        ...

    async def prune(self, *, usage_before_us: int) -> int:
        """Delete usage rows that ended before an instant, keys that may be forgotten and events long delivered.

        It deletes a few rows in each commit and returns how many went. Balances, transfers and the chain stay as they are.
        """
        ...


@asynccontextmanager
async def open_store(
    url: str,
    *,
    clock_us: Callable[[], int],
    committed: Committed = unheard,
    remembered_us_max: int = REMEMBERED_US_MAX,
) -> AsyncIterator[Store]:
    """Open the store at `url`: `sqlite:///path`, `sqlite://` (private, gone at the end) or `postgresql://...`.

    `clock_us` gives microseconds since 1970 UTC; the store knows no other clock. `committed` hears of every commit.
    `remembered_us_max`: how old what `Store.remembered` tells of other processes' commits may be; 0: never from memory.
    SQLite has no other processes.

    Holds whose time has come are expired before this yields.

    Raises: StoreRefused, one line naming `storage.url`, when it cannot be opened as configured.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        from storage.sql.sqlite.store import open_sqlite  # noqa: PLC0415  # only the backend that is named

        async with open_sqlite(rest.removeprefix("/"), clock_us=clock_us, committed=committed) as store:
            yield store
    elif separator and scheme in {"postgresql", "postgres"}:
        from storage.sql.postgres.store import open_postgres  # noqa: PLC0415  # only the backend that is named

        async with open_postgres(
            url, clock_us=clock_us, committed=committed, remembered_us_max=remembered_us_max
        ) as shared:
            yield shared
    else:
        raise StoreRefused(f"storage.url: {scheme!r} is not a known database; use sqlite:///path or postgresql://...")


@asynccontextmanager
async def open_reader(url: str, *, clock_us: Callable[[], int]) -> AsyncIterator[Reader]:
    """Look into the store at `url` while a server may be running on it; nothing can be written and nothing is expired.

    Raises: StoreRefused, one line naming `storage.url`, when there is nothing to read there.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        from storage.sql.sqlite.reading import open_sqlite_reader  # noqa: PLC0415  # only the backend that is named

        with open_sqlite_reader(rest.removeprefix("/"), clock_us=clock_us) as reader:
            yield reader
    elif separator and scheme in {"postgresql", "postgres"}:
        from storage.sql.postgres.store import open_postgres_reader  # noqa: PLC0415  # only the backend that is named

        async with open_postgres_reader(url, clock_us=clock_us) as shared:
            yield shared
    else:
        raise StoreRefused(f"storage.url: {scheme!r} is not a known database; use sqlite:///path or postgresql://...")
