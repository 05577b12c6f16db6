"""Kept rows: small append-only documents of an operator (prices, burn tables) and answers that may be asked for again."""

from typing import Final

from storage.records.fact import fact
from storage.records.money import NEVER_US

ANSWER: Final = "answer"
"""The kind of a kept answer; its rows are deleted once they have expired. Other kinds are never deleted."""


@fact
class Outgoing:
    """An event on its way out."""

    id: int
    tenant: str
    topic: str
    payload: str
    """JSON text."""


@fact
class KeptRow:
    """One row. Of several with one kind and key the newest holds, from its `valid_from_us` on."""

    tenant: str
    kind: str
    key: str
    body: str
    """JSON text."""
    actor: str = ""
    """Who wrote it, for the audit; empty for the server itself."""
    reason: str = ""
    valid_from_us: int = 0
    expires_us: int = NEVER_US
    """When it may be deleted (answers only)."""
    id: int = 0
    """Given by the store, ascending in the order of commits of one process."""
    created_us: int = 0
    """Given by the store."""
