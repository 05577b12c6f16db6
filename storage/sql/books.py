"""What the proofs read through: statements over one commit at a time, and what keeps small what they read. No invariant.

On SQLite a long read keeps the log from being written back into the file. So a proof says where it may go on with a newer commit,
and what it compares across that point must not have changed: rows that are only ever appended, up to the last one at the start.
"""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias

from storage.sql.usage_questions import Dialect

# Any: columns come from a driver; the tables give their types.

Rows: TypeAlias = Iterable[tuple[Any, ...]]

NANO: Final = 1_000_000_000
PIECE: Final = 100_000
"""Rows that a database looks at in one go: some tenths of a second. Of what comes here to be compared, a fifth at a time."""


class Books(Protocol):
    """A database while it is proved."""

    @property
    def dialect(self) -> Dialect:
        """How it takes values."""
        ...

    @property
    def are_ids_in_order(self) -> bool:
        """True when one process gives all ids, so that they rise from commit to commit; an expiry's follows from its hold's."""
        ...

    @property
    def piece(self) -> int:
        """Rows that are looked at before a newer commit may be taken."""
        ...

    def __call__(self, statement: str, *values: object) -> Rows:
        """The rows of one statement, as they are read."""
        ...

    def among(self, ids: Sequence[int]) -> tuple[str, object]:
        """What to write behind a column that must be one of these, as the statement's first value, and that value."""
        ...

    def renew(self) -> None:
        """Go on with a newer commit where an older one is in the way. No statement may be half read."""
        ...


def sums(of: str) -> str:
    """The sum of an amount in two parts, because it may pass 64 bits; `total` puts them together."""
    return f"sum(({of}) / {NANO}), sum(({of}) % {NANO})"


def total(whole: Any, part: Any) -> int:
    """What both parts of a sum come to. No rows: zero."""
    return int(whole or 0) * NANO + int(part or 0)


def by_key(rows: Rows) -> dict[Any, int]:
    """Sums by what they belong to."""
    return {key: total(whole, part) for key, whole, part in rows}


class Merged:
    """Sums that come in the order of their keys, found for keys that are asked for in that order: one row is in memory."""

    def __init__(self, rows: Rows) -> None:
        self._rows = iter(rows)
        self._row = next(self._rows, None)

    def of(self, key: int) -> tuple[int, ...]:
        """The totals of a key; empty where it has none."""
        while self._row is not None and self._row[0] < key:
            self._row = next(self._rows, None)
        if self._row is None or self._row[0] != key:
            return ()
        parts = self._row[1:]
        return tuple(total(*parts[at : at + 2]) for at in range(0, len(parts), 2))


def last_id(books: Books, table: str) -> int:
    """The greatest id of a table; 0 of an empty one."""
    ((last,),) = books(f"SELECT coalesce(max(id), 0) FROM {table}")
    return int(last)


def pieces(books: Books, table: str) -> Iterator[tuple[int, int]]:
    """Ranges of ids (behind, up to) with so many rows each, to the end that the table has now; each may begin a newer commit."""
    end, after, mark = last_id(books, table), -1, books.dialect.mark(1)
    statement = f"SELECT max(id) FROM (SELECT id FROM {table} WHERE id>{mark} ORDER BY id LIMIT {books.piece}) piece"
    while after < end:
        books.renew()
        ((until,),) = books(statement, after)
        if until is None:
            return
        yield after, until
        after = until


def compared(books: Books) -> int:
    """Rows that are in memory at a time."""
    return max(1, books.piece // 5)
