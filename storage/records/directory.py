"""Directory entries: what is known of users, organizations and keys, one small JSON document each; the newest version stands.

Subscriptions, memberships, own limits and quotas, gateway keys, sealed provider keys, blocks and dead letters are entries. No
money is here.
"""

from typing import Final

from storage.records.fact import fact
from storage.records.money import NEVER_US

DELETED: Final = ""
"""The body of an entry that was deleted; it stays for a while, so that every process hears of the deletion."""


@fact
class DirectoryEntry:
    """One document. `tenant`, `kind` and `key` name it; `owner` says whose it is, so that all of one owner are read at once."""

    tenant: str
    kind: str
    """What it is: subscription, member, limits, quota, api_key, provider_key, block, ..."""
    key: str
    owner: str
    """`user:ID`, `org:ID`, `key:ID`, `ip:ADDRESS` or `event:ID`. It never changes."""
    body: str
    """JSON text; `DELETED` where it was deleted."""
    expires_us: int = NEVER_US
    """From when on it counts as deleted."""
    version: int = 0
    """Given by the store: 1 for the first."""
    seq: int = 0
    """Given by the store: the change's place among all changes, in the order of commits of all processes."""
    changed_us: int = 0
    """Given by the store."""

    def is_live(self, now_us: int) -> bool:
        """True while it is neither deleted nor expired."""
        return self.body != DELETED and now_us < self.expires_us


def are_storable(*texts: str) -> bool:
    """False where one holds what PostgreSQL or UTF-8 cannot: a NUL, or half a character. Nothing has such a name."""
    return not any("\x00" in text or any("\ud800" <= character <= "\udfff" for character in text) for text in texts)
