"""Directory entries on SQLite: loading and storing them within a batch, and reading them. The one writer gives the numbers."""
# ruff: noqa: S608  # statements are built from our own column names, never from values

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from storage.ledger.state import EntryKey, State
from storage.records.directory import DirectoryEntry, are_storable
from storage.records.kept import KeptRow, Outgoing
from storage.records.ledger import Page
from storage.sql import ledger_rows as rows
from storage.sql.directory_rows import ENTRY, GONE_MAX, STAY_US, entry_columns, entry_of, newest
from storage.sql.paging import LAST, give_way, numbers, text_cursor, text_of_cursor

# Any: columns come from the driver; the table gives their types.

_ONE = f"SELECT {ENTRY} FROM directory WHERE tenant=? AND kind=? AND key=?"
_PUT = f"INSERT OR REPLACE INTO directory ({ENTRY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GONE = (
    "DELETE FROM directory WHERE seq IN "
    "(SELECT seq FROM directory WHERE expires_us<=? AND seq<? ORDER BY expires_us LIMIT ?)"
)
_LIVE = "body<>'' AND expires_us>?"
_OWNED = f"SELECT {ENTRY} FROM directory WHERE tenant=? AND owner=? AND {_LIVE} ORDER BY kind, key"
_OF_KIND = (
    f"SELECT {ENTRY} FROM directory WHERE tenant=? AND kind=? AND key>? AND {_LIVE} "
    "AND substr(key,1,length(?6))=?6 ORDER BY key LIMIT ?5"
)
_CHANGED = f"SELECT {ENTRY} FROM directory WHERE seq>? ORDER BY seq LIMIT ?"
_LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM directory"
_KEPT_PAGE = (
    f"SELECT id, {rows.KEPT} FROM kept WHERE tenant=? AND kind=? AND kind<>'answer' {{}} AND id<? "
    "ORDER BY id DESC LIMIT ?"
)
_KEPT_OF_KIND = _KEPT_PAGE.format("")
_KEPT_OF_KEY = _KEPT_PAGE.format("AND key=?")
_OUTBOX = "SELECT id, tenant, topic, payload FROM outbox WHERE id>? ORDER BY id LIMIT ?"
_OUTBOX_LAST = "SELECT coalesce(max(id), 0) FROM outbox"


def load_entries(connection: sqlite3.Connection, state: State, keys: Iterable[EntryKey]) -> None:
    """Load the entries that a batch may write over, as they stand."""
    for key in keys:
        found = connection.execute(_ONE, key).fetchone()
        if found is not None:
            state.entries[key] = entry_of(found)


def store_entries(connection: sqlite3.Connection, entries: Sequence[DirectoryEntry], now_us: int) -> None:
    """Store a batch's entries and take a few of those away that are long dead; never the newest, whose seq is counted on."""
    connection.executemany(_PUT, [entry_columns(entry) for entry in newest(entries)])
    connection.execute(_GONE, (now_us - STAY_US, entries[0].seq, GONE_MAX))


def last_seq(connection: sqlite3.Connection) -> int:
    """The last change's seq; 0: nothing was ever put."""
    return int(connection.execute(_LAST_SEQ).fetchone()[0])


class DirectoryReads:
    """Reads of entries, of kept rows in pages, and of outgoing events. See `storage.store.Reader` for the promises."""

    def __init__(self, fetch: Callable[[str, Any], list[tuple[Any, ...]]], clock_us: Callable[[], int]) -> None:
        self._fetch = fetch
        self._now_us = clock_us

    async def entry(self, tenant: str, kind: str, key: str) -> DirectoryEntry | None:
        """The live entry."""
        if not are_storable(tenant, kind, key):
            return None
        found = self._fetch(_ONE, (tenant, kind, key))
        entry = entry_of(found[0]) if found else None
        return entry if entry is not None and entry.is_live(self._now_us()) else None

    async def entries_of(self, tenant: str, owner: str) -> tuple[DirectoryEntry, ...]:
        """All live entries of one owner."""
        if not are_storable(tenant, owner):
            return ()
        return tuple(map(entry_of, self._fetch(_OWNED, (tenant, owner, self._now_us()))))

    async def entries(
        self, tenant: str, kind: str, *, within: str = "", limit: int = 50, cursor: str | None = None
    ) -> Page[DirectoryEntry]:
        """The live entries of a kind, in the order of their keys."""
        await give_way(cursor)
        found = self._fetch(_OF_KIND, (tenant, kind, text_of_cursor(cursor), self._now_us(), limit + 1, within))
        page = tuple(map(entry_of, found[:limit]))
        return Page(page, text_cursor(page[-1].key) if len(found) > limit else None)

    async def entries_changed(self, after_seq: int, limit: int) -> tuple[tuple[DirectoryEntry, ...], int]:
        """Entries changed after `after_seq`, dead ones too, and the last seq among them."""
        found = tuple(map(entry_of, self._fetch(_CHANGED, (after_seq, limit))))
        return found, found[-1].seq if found else after_seq

    async def outbox(self, after_id: int, limit: int) -> tuple[Outgoing, ...]:
        """Outgoing events after an id."""
        return tuple(Outgoing(*values) for values in self._fetch(_OUTBOX, (after_id, limit)))

    async def outbox_last(self) -> int:
        """The last outgoing event's id."""
        ((last,),) = self._fetch(_OUTBOX_LAST, ())
        return int(last)

    async def directory_seq(self) -> int:
        """The last change's seq."""
        ((seq,),) = self._fetch(_LAST_SEQ, ())
        return int(seq)

    async def kept_page(
        self, tenant: str, kind: str, *, key: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[KeptRow]:
        """Kept rows, newest first."""
        await give_way(cursor)
        (before,) = numbers(cursor, (LAST,))
        if not are_storable(tenant, kind, key or ""):
            return Page((), None)
        if key is None:
            found = self._fetch(_KEPT_OF_KIND, (tenant, kind, before, limit + 1))
        else:
            found = self._fetch(_KEPT_OF_KEY, (tenant, kind, key, before, limit + 1))
        page = tuple(rows.kept_of(row) for row in found[:limit])
        return Page(page, str(page[-1].id) if len(found) > limit else None)
