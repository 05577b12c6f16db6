"""Acts of an operator that write documents under an idempotency key: the same key finds what the first one wrote.

Beside what is written stands a note of the key, in the same commit and for ever. Movements of money need no note: the ledger
keeps their keys and answers itself.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from storage.errors import IdempotencyConflict
from storage.records.commands import Idempotency, Keep
from storage.records.kept import KeptRow
from storage.store import Reader

# Any: what an act wrote is JSON of our own writing.

ACT: Final = "act"
"""Kept rows of this kind: key the act and its idempotency key, body the request's fingerprint and what was written."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Act:
    """One act that was asked for with a key, or without one."""

    name: str
    key: str | None
    request: Mapping[str, object]
    """What was asked for; the same key with another request is refused."""

    @property
    def place(self) -> str:
        """The key of its note."""
        return f"{self.name}:{self.key}"

    def fingerprint(self) -> str:
        """What tells one request from another."""
        text = json.dumps(self.request, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """What an act came to."""

    what: T
    is_replay: bool = False
    """True: it had been done before under the same key."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What the first act under a key wrote."""

    wrote: Mapping[str, Any]
    created_us: int
    """When: the documents written with it have the same instant."""


@dataclass(frozen=True, slots=True)
class Once:
    """Finds and makes the notes."""

    store: Reader
    new_id: Callable[[], str]
    tenant: str = "default"

    async def first(self, act: Act) -> Noted | None:
        """What the first act under the key wrote; None without a key, or for a new one.

        Raises: IdempotencyConflict when the key was used for another request; StorageUnavailable.
        """
        if act.key is None:
            return None
        rows = await self.store.kept(self.tenant, ACT, act.place)
        if not rows:
            return None
        body = json.loads(rows[0].body)
        if body["request"] != act.fingerprint():
            raise IdempotencyConflict("this idempotency key was used with another request; take a new key")
        return Noted(body["wrote"], rows[0].created_us)

    def note(self, act: Act, wrote: Mapping[str, object], actor: str) -> list[Keep]:
        """What is written beside the act; nothing without a key. Of two at the same time the second is refused as a whole."""
        if act.key is None:
            return []
        body = json.dumps({"request": act.fingerprint(), "wrote": wrote})
        row = KeptRow(self.tenant, ACT, act.place, body, actor)
        return [Keep(row, Idempotency(ACT, act.place, self.new_id()))]
