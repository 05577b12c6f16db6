"""Cursors of pages: a few numbers with dots between them, the same on every database."""

from storage.errors import InvalidCursor

LAST = 2**63 - 1
"""Behind every instant and id: where the first page, newest first, begins."""


def numbers(cursor: str | None, first: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of a cursor; those of the first page without one. Raises: InvalidCursor."""
    if cursor is None:
        return first
    parts = cursor.split(".")
    if len(parts) != len(first) or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):  # noqa: PLR2004  # what fits 64 bits
        raise InvalidCursor
    return tuple(int(part) for part in parts)
