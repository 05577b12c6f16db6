"""Pages by `offset`, as OpenMonetize's clients ask for them, on top of pages by cursor. No method here.

A cursor stays where it is while rows come in; an offset does not, and walking to it reads what lies before. So it is bounded.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Protocol, TypeVar

from pydantic import Field

from methods.errors import InvalidParams
from methods.method import Result
from storage.records.ledger import Page

OFFSET_MAX: Final = 10_000
_STEP: Final = 500
Offset = Annotated[int, Field(ge=0, description=f"How many rows to pass over, at most {OFFSET_MAX}.")]
Row = TypeVar("Row")


class Paging(Result):
    """Where a page is."""

    limit: int
    offset: int | None = None
    """Absent: the page was asked for by its cursor."""
    next_cursor: str | None = None
    """Absent: there are no more."""


class Asked(Protocol):
    """What parameters say of the page."""

    @property
    def limit(self) -> int:
        """How many rows it holds at most."""
        ...

    @property
    def cursor(self) -> str | None:
        """Where it begins."""
        ...

    @property
    def offset(self) -> int | None:
        """Where it begins, counted."""
        ...


def paging_of(asked: Asked, page: Page[Row]) -> Paging:
    """A page's place as JSON."""
    offset = None if asked.cursor is not None else asked.offset or 0
    return Paging(limit=asked.limit, offset=offset, next_cursor=page.next_cursor)


async def page_at(
    read: Callable[[int, str | None], Awaitable[Page[Row]]], limit: int, cursor: str | None, offset: int | None
) -> Page[Row]:
    """The page at a cursor or an offset; `read` takes a limit and a cursor. Raises: InvalidParams, and what `read` raises."""
    if not offset:
        return await read(limit, cursor)
    if cursor is not None:
        raise InvalidParams("give cursor or offset, not both; the cursor already says where the page begins")
    if offset > OFFSET_MAX:
        raise InvalidParams(
            f"offset: at most {OFFSET_MAX}; go on with cursor, which each page names as nextCursor (no cursor: the first page)"
        )
    while offset:
        passed = await read(min(offset, _STEP), cursor)
        offset, cursor = offset - len(passed.rows), passed.next_cursor
        if cursor is None:
            return Page((), None)
    return await read(limit, cursor)
