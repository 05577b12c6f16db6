"""Cursors of pages: a few numbers with dots between them, or a text, the same on every database."""

import asyncio
from base64 import b64decode, urlsafe_b64encode

from storage.errors import InvalidCursor

LAST = 2**63 - 1
"""Behind every instant and id: where the first page, newest first, begins."""


async def give_way(cursor: str | None) -> None:
    """Give everybody else a turn before a further page of a file is read.

    A file is read without a wait, so who goes through all pages would keep the whole process waiting until the last one.
    """
    if cursor is not None:
        await asyncio.sleep(0)


def numbers(cursor: str | None, first: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of a cursor; those of the first page without one. Raises: InvalidCursor."""
    if cursor is None:
        return first
    parts = cursor.split(".")
    if len(parts) != len(first) or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):  # noqa: PLR2004  # what fits 64 bits
        raise InvalidCursor
    return tuple(int(part) for part in parts)


def text_cursor(text: str) -> str:
    """The cursor of a page that ended with this text."""
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def text_of_cursor(cursor: str | None) -> str:
    """The text after which a page begins; empty for the first. Raises: InvalidCursor."""
    try:
        padded = (cursor or "") + "=" * (-len(cursor or "") % 4)
        text = b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise InvalidCursor from None
    if "\x00" in text:
        raise InvalidCursor
    return text
