"""Writing a directory entry: which version stands, and what may not change. No entry's meaning is known here."""

from dataclasses import replace

from storage.ledger.state import State
from storage.records.commands import Done, Put, Refusal
from storage.records.directory import DELETED, DirectoryEntry, are_storable


def put(state: State, command: Put) -> Done | Refusal:
    """Write the entry over the one that stands, unless another version stands than was expected."""
    entry = command.entry
    key = (entry.tenant, entry.kind, entry.key)
    if not is_storable(entry):
        return Refusal("invalid", {"detail": "a text holds a NUL or half a character"})
    before = state.entries.get(key)
    standing = before.version if before is not None and before.is_live(state.now_us) else 0
    if command.expect is not None and command.expect != standing:
        return Refusal("version_changed", {"kind": entry.kind, "key": entry.key, "version": standing})
    if before is not None and before.owner != entry.owner:
        # Whoever keeps the old owner's entries in memory hears of changes by the owner that an entry names now.
        return Refusal("invalid", {"detail": f"the {entry.kind} entry belongs to another owner"})
    made = replace(
        entry,
        version=before.version + 1 if before is not None else 1,
        seq=state.next_seq,
        changed_us=state.now_us,
        expires_us=min(entry.expires_us, state.now_us) if entry.body == DELETED else entry.expires_us,
    )
    state.next_seq += 1
    state.put(state.entries, key, made)
    state.changes.entries.append(made)
    return Done(0, made.version)


def is_storable(entry: DirectoryEntry) -> bool:
    """False for texts with what PostgreSQL or UTF-8 cannot hold."""
    return are_storable(entry.tenant, entry.kind, entry.key, entry.owner, entry.body)
