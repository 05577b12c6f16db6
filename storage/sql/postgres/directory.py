"""Directory entries on PostgreSQL: loading and storing them within a batch, and reading them.

Whoever writes entries holds one lock until the commit, so that the numbers that changes get follow the commits of all processes:
a reader that goes on from the last number it saw misses nothing. Entries are written seldom, so nobody waits long.
"""
# ruff: noqa: S608  # statements are built from our own column names, never from values

from collections.abc import Callable, Sequence

from storage.ledger.state import EntryKey, State
from storage.records.directory import DirectoryEntry, are_storable
from storage.records.kept import KeptRow, Outgoing
from storage.records.ledger import Page
from storage.sql import ledger_rows as rows
from storage.sql.directory_rows import ENTRY, GONE_MAX, STAY_US, entry_columns, entry_of, newest
from storage.sql.paging import LAST, numbers, text_cursor, text_of_cursor
from storage.sql.postgres.connections import Connection
from storage.sql.postgres.pool import Pool
from storage.sql.postgres.statements import arrays, insert, select_by

ENTRIES_LOCK = 0x746F6C6C64697265
"""The advisory lock of the directory: taken before the locks of accounts and held until the commit."""
_LOCK = f"SELECT pg_advisory_xact_lock({ENTRIES_LOCK})"
_LOAD = select_by("directory", "tenant, kind, key", ENTRY)
_PUT = insert(
    "directory",
    ENTRY,
    "ON CONFLICT (tenant, kind, key) DO UPDATE SET body=excluded.body, expires_us=excluded.expires_us, "
    "version=excluded.version, seq=excluded.seq, changed_us=excluded.changed_us",
)
_GONE = (
    "DELETE FROM directory WHERE seq IN "
    "(SELECT seq FROM directory WHERE expires_us<=$1 AND seq<$2 ORDER BY expires_us LIMIT $3)"
)
_LIVE = "body<>'' AND expires_us>"
_ONE = f"SELECT {ENTRY} FROM directory WHERE tenant=$1 AND kind=$2 AND key=$3"
_OWNED = f"SELECT {ENTRY} FROM directory WHERE tenant=$1 AND owner=$2 AND {_LIVE}$3 ORDER BY kind, key"
_OF_KIND = (
    f"SELECT {ENTRY} FROM directory WHERE tenant=$1 AND kind=$2 AND key>$3 AND {_LIVE}$4 "
    "AND starts_with(key, $6) ORDER BY key LIMIT $5"
)
_CHANGED = f"SELECT {ENTRY} FROM directory WHERE seq>$1 ORDER BY seq LIMIT $2"
_LAST_SEQ = "SELECT coalesce((SELECT seq FROM directory WHERE seq>0 ORDER BY seq DESC LIMIT 1), 0)"
_OUTBOX = "SELECT id, tenant, topic, payload FROM outbox WHERE id>$1 ORDER BY id LIMIT $2"
_OUTBOX_LAST = "SELECT coalesce((SELECT id FROM outbox ORDER BY id DESC LIMIT 1), 0)"
_KEPT_OF_KIND = (
    f"SELECT id, {rows.KEPT} FROM kept WHERE tenant=$1 AND kind=$2 AND kind<>'answer' AND id<$3 "
    "ORDER BY id DESC LIMIT $4"
)
_KEPT_OF_KEY = (
    f"SELECT id, {rows.KEPT} FROM kept WHERE tenant=$1 AND kind=$2 AND kind<>'answer' AND key=$5 AND id<$3 "
    "ORDER BY id DESC LIMIT $4"
)


async def lock_entries(connection: Connection) -> None:
    """Wait until no other process writes entries, and keep others waiting until this transaction ends."""
    await connection.execute(_LOCK)


async def load_entries(connection: Connection, state: State, keys: Sequence[EntryKey]) -> None:
    """Load the entries that a batch may write over, as they stand behind the lock, and where the numbers go on."""
    for values in await connection.fetch(_LOAD, *arrays(keys)):
        entry = entry_of(values)
        state.entries[(entry.tenant, entry.kind, entry.key)] = entry
    state.next_seq = int(await connection.fetchval(_LAST_SEQ)) + 1


async def store_entries(connection: Connection, entries: Sequence[DirectoryEntry], now_us: int) -> None:
    """Store a batch's entries and take a few of those away that are long dead; never the newest, whose seq is counted on."""
    await connection.execute(_PUT, *arrays([entry_columns(entry) for entry in newest(entries)]))
    await connection.execute(_GONE, now_us - STAY_US, entries[0].seq, GONE_MAX)


class DirectoryReads:
    """Reads of entries, of kept rows in pages, and of outgoing events. See `storage.store.Reader` for the promises."""

    def __init__(self, pool: Pool, clock_us: Callable[[], int]) -> None:
        self._pool = pool
        self._clock_us = clock_us

    async def entry(self, tenant: str, kind: str, key: str) -> DirectoryEntry | None:
        """The live entry."""
        if not are_storable(tenant, kind, key):
            return None
        found = await self._pool.fetch(_ONE, tenant, kind, key)
        entry = entry_of(found[0]) if found else None
        return entry if entry is not None and entry.is_live(self._clock_us()) else None

    async def entries_of(self, tenant: str, owner: str) -> tuple[DirectoryEntry, ...]:
        """All live entries of one owner."""
        if not are_storable(tenant, owner):
            return ()
        return tuple(map(entry_of, await self._pool.fetch(_OWNED, tenant, owner, self._clock_us())))

    async def entries(
        self, tenant: str, kind: str, *, within: str = "", limit: int = 50, cursor: str | None = None
    ) -> Page[DirectoryEntry]:
        """The live entries of a kind, in the order of their keys."""
        after = text_of_cursor(cursor)
        found = await self._pool.fetch(_OF_KIND, tenant, kind, after, self._clock_us(), limit + 1, within)
        page = tuple(map(entry_of, found[:limit]))
        return Page(page, text_cursor(page[-1].key) if len(found) > limit else None)

    async def entries_changed(self, after_seq: int, limit: int) -> tuple[tuple[DirectoryEntry, ...], int]:
        """Entries changed after `after_seq`, dead ones too, and the last seq among them."""
        found = tuple(map(entry_of, await self._pool.fetch(_CHANGED, after_seq, limit)))
        return found, found[-1].seq if found else after_seq

    async def outbox(self, after_id: int, limit: int) -> tuple[Outgoing, ...]:
        """Outgoing events after an id."""
        return tuple(Outgoing(*values) for values in await self._pool.fetch(_OUTBOX, after_id, limit))

    async def outbox_last(self) -> int:
        """The last outgoing event's id."""
        ((last,),) = await self._pool.fetch(_OUTBOX_LAST)
        return int(last)

    async def directory_seq(self) -> int:
        """The last change's seq."""
        ((seq,),) = await self._pool.fetch(_LAST_SEQ)
        return int(seq)

    async def kept_page(
        self, tenant: str, kind: str, *, key: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[KeptRow]:
        """Kept rows, newest first."""
        (before,) = numbers(cursor, (LAST,))
        if not are_storable(tenant, kind, key or ""):
            return Page((), None)
        if key is None:
            found = await self._pool.fetch(_KEPT_OF_KIND, tenant, kind, before, limit + 1)
        else:
            found = await self._pool.fetch(_KEPT_OF_KEY, tenant, kind, before, limit + 1, key)
        page = tuple(rows.kept_of(row) for row in found[:limit])
        return Page(page, str(page[-1].id) if len(found) > limit else None)
