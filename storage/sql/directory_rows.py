"""How directory entries cross between records and columns, and how long the dead ones stay: common to all databases."""

from collections.abc import Sequence
from typing import Any, Final

from storage.records.directory import DirectoryEntry

# Any: columns come from a driver; the table gives their types.

ENTRY: Final = "tenant, kind, key, owner, body, expires_us, version, seq, changed_us"
STAY_US: Final = 7 * 24 * 3600 * 1_000_000
"""How long an entry stays after it was deleted or has expired: longer than any process may be out of touch."""
GONE_MAX: Final = 20
"""Dead entries that one commit with entries takes away."""


def entry_columns(entry: DirectoryEntry) -> tuple[object, ...]:
    """The values of `ENTRY`."""
    return (
        entry.tenant, entry.kind, entry.key, entry.owner, entry.body, entry.expires_us, entry.version, entry.seq,
        entry.changed_us,
    )  # fmt: skip


def entry_of(values: Sequence[Any]) -> DirectoryEntry:
    """A record of `ENTRY`."""
    return DirectoryEntry(*values)


def newest(entries: Sequence[DirectoryEntry]) -> list[DirectoryEntry]:
    """Of several entries with one key the last, in the order of keys, so that two writers never wait for each other."""
    last = {(entry.tenant, entry.kind, entry.key): entry for entry in entries}
    return [last[key] for key in sorted(last)]
