"""Old parts of windows on PostgreSQL: found block of ids by block, deleted into their windows' sums. See `storage.sql.parts`."""
# ruff: noqa: S608  # statements are built from our own names, never from values

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from storage.sql.ledger_rows import HOLD_WINDOW
from storage.sql.parts import ROWS_MAX, SUM_ID, leading, oldest, sums_of
from storage.sql.postgres.connections import Connection
from storage.sql.postgres.known import BLOCK
from storage.sql.postgres.statements import arrays, insert

# Any: rows are the driver's.

BLOCKS_MAX: Final = 1_000
_LOCK = "SELECT pg_advisory_xact_lock(1886547811)"
"""Who folds adds to sums that it has read, so one process at a time does."""
_OLDEST = oldest("$2", since="$1", limit="$3", ids_end=f"(p.transfer_id/{BLOCK}+1)*{BLOCK}")
_GO = (
    "DELETE FROM hold_window p USING (SELECT h.transfer_id, h.window_id FROM hold_window h "
    "JOIN unnest($1::bigint[], $2::bigint[]) AS v(transfer_id, window_id) USING (transfer_id, window_id) "
    "WHERE h.settled IS NOT NULL ORDER BY h.transfer_id, h.window_id FOR UPDATE OF h SKIP LOCKED) old "
    "WHERE p.transfer_id=old.transfer_id AND p.window_id=old.window_id RETURNING p.window_id, p.settled"
)
_KEPT = f"SELECT window_id, settled FROM hold_window WHERE transfer_id={SUM_ID} AND window_id=ANY($1::bigint[])"
_KEEP = insert(
    "hold_window", HOLD_WINDOW, "ON CONFLICT (transfer_id, window_id) DO UPDATE SET settled=excluded.settled"
)


async def outlived(fetch: Callable[..., Awaitable[Sequence[Any]]], before_us: int) -> list[tuple[int, int]]:
    """The first parts that are old enough. Ids rise with time only within a process's block, so every block is looked into."""
    found: list[tuple[int, int]] = []
    since = SUM_ID + 1
    for _ in range(BLOCKS_MAX):
        rows = await fetch(_OLDEST, since, before_us, 1)
        if leading(rows):  # most blocks begin with a young one, and that is all there is to know of them
            rows = await fetch(_OLDEST, since, before_us, ROWS_MAX)
        old = leading(rows)
        found += old
        if len(old) == len(rows) or len(found) >= ROWS_MAX:
            break
        since = (rows[len(old)][0] // BLOCK + 1) * BLOCK
    return found


async def fold(connection: Connection, parts: Sequence[tuple[int, int]]) -> None:
    """Delete these parts, as far as they are closed and no late settle is about to change them, and keep their sums."""
    await connection.execute(_LOCK)
    closed = await connection.fetch(_GO, *arrays(parts))
    if closed:
        kept = await connection.fetch(_KEPT, sorted({window_id for window_id, _ in closed}))
        sums = [(SUM_ID, window_id, 0, 0, settled) for window_id, settled in sums_of(closed, kept)]
        await connection.execute(_KEEP, *arrays(sums))
