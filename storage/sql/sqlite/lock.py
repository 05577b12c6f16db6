"""One process per database file: an operating system lock beside it, released by the system when the process dies."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import StoreInUse, StoreRefused


@contextmanager
def only_process(database: Path) -> Iterator[None]:
    """Hold the file's lock. Raises: StoreRefused when another process (or another store of this one) has it."""
    beside = database.with_name(database.name + ".lock")
    try:
        handle = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as failed:
        raise StoreRefused(
            f"storage.url: cannot write beside {database.name!r} ({failed.strerror}); check the folder"
        ) from failed
    try:
        if not _take(handle):
            raise StoreInUse(
                f"storage.url: {database.name!r} is in use by another process; stop that one, or use PostgreSQL for several"
            )
        yield
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  # only there

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415  # not there on Windows

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
