"""The hash chain, walked from its beginning in pieces, and what stands outside of it."""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from storage.ledger.chain import GENESIS, link
from storage.sql.books import Books, Rows, compared, last_id, pieces
from storage.sql.ledger_rows import TRANSFER

# Any: a transfer is hashed as its columns, whose types the table gives.

_BATCH_OF: Final = itemgetter(14)


def unbroken(books: Books) -> Rows:
    """9. The hash chain verifies from its beginning: no transfer was added, changed or taken out afterwards.

    Neither batches nor transfers ever change, so those up to the batch that is the last one now may be read commit after commit.
    """
    end = last_id(books, "batch")
    yield from books(f"SELECT 'transfer without a batch', id, batch_id FROM transfer WHERE batch_id>{end} LIMIT 100")
    members = _by_batch(_transfers(books, end))
    number, found = next(members, (0, []))
    previous = GENESIS
    for batch, before, digest, count in _batches(books, end):
        while found and number < batch:
            yield ("transfer without a batch", found[0][0], number)
            number, found = next(members, (0, []))
        mine = found if number == batch else []
        if before != previous or len(mine) != count or link(previous, mine) != digest:
            yield (batch, before, digest, count, len(mine))
        previous = digest
        if mine:
            number, found = next(members, (0, []))
    yield from (("transfer without a batch", row[0], row[14]) for row in found)


def _by_batch(transfers: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    return ((number, list(members)) for number, members in groupby(transfers, _BATCH_OF))


def _batches(books: Books, end: int) -> Rows:
    mark, after = books.dialect.mark(1), -1
    some = f"SELECT id, prev_hash, hash, n FROM batch WHERE id>{mark} AND id<={end} ORDER BY id LIMIT {compared(books)}"
    while found := list(books(some, after)):
        after = found[-1][0]
        yield from found


def _transfers(books: Books, end: int) -> Rows:
    """Every transfer up to a batch, batch by batch."""
    if not books.are_ids_in_order:
        return map(tuple, books(f"SELECT {TRANSFER} FROM transfer WHERE batch_id<={end} ORDER BY batch_id, id"))
    return merge(_in_order(books, end), _expiries(books, end), key=itemgetter(14, 0))


def _in_order(books: Books, end: int) -> Rows:
    mark, after = books.dialect.mark(1), -1
    some = f"SELECT {TRANSFER} FROM transfer WHERE id>{mark} AND id%2=0 AND batch_id<={end} ORDER BY id LIMIT {compared(books)}"
    while found := list(books(some, after)):
        books.renew()
        after = found[-1][0]
        yield from found


def _expiries(books: Books, end: int) -> Rows:
    """Those whose ids follow from their holds': where they stand is looked for first, because that is no order of batches."""
    within = f"id>{books.dialect.mark(1)} AND id<={books.dialect.mark(2)} AND id%2=1 AND batch_id<={end}"
    some = f"SELECT batch_id, id FROM transfer WHERE {within}"
    places = sorted(place for piece in pieces(books, "transfer") for place in books(some, *piece))
    size = compared(books)
    for at in range(0, len(places), size):
        among, value = books.among([number for _, number in places[at : at + size]])
        found = list(books(f"SELECT {TRANSFER} FROM transfer WHERE id {among} ORDER BY batch_id, id", value))
        yield from found
