"""How a SQLite file is opened: the one writing connection and the read-only ones. No statements of ours."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

BUSY_SECONDS = 1.0
"""Only a foreign tool can hold the file's lock; a call refused soon is worth more than one that hangs."""
READER_CACHE_KIB = 512
"""What a reading connection keeps of the file. Each commit empties it, and a long read goes through its pages once."""

LOG_BYTES = 67_108_864
"""What the log's file is cut to when it starts anew, after a long read held it back."""


def writer(path: Path, *, is_durable: bool = True) -> sqlite3.Connection:
    """The one connection that writes and checkpoints: WAL, every commit on disk before it returns.

    A second writing connection must never exist: SQLite before 3.51.3 can corrupt a WAL that two connections reset at once.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if is_durable else 'OFF'}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA cache_size=-3000")  # KiB: the edges of all indexes, and what a group writes
        connection.execute(
            "PRAGMA wal_autocheckpoint=4000"
        )  # pages: the same few are rewritten often, so copy them seldom
        connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; it always sees the last commit."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute(f"PRAGMA cache_size=-{READER_CACHE_KIB}")
    return connection
