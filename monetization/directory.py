"""What this process knows of users, organizations and keys: entries read once per owner, kept until a change is heard of.

Every change has a number that grows in the order of commits. A job asks for changes twice a second and forgets the owners they
name; what this process writes it forgets at once. A reading that an eviction overlaps is handed out and never kept, so no old
state comes back. What an entry means is decided elsewhere.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from itertools import count
from typing import Any, Final, Protocol

import orjson

from billing.errors import raise_refusal
from monetization.funding import TENANT
from storage.records.commands import Command, Done, Keep, Put, Refusal
from storage.records.directory import DirectoryEntry
from storage.records.fact import fact
from storage.records.kept import KeptRow
from storage.records.ledger import Page
from storage.records.money import NEVER_US

# Any: a body is JSON; who reads it knows its members.

AUDIT: Final = "audit"
"""Kept rows of this kind: key the owner concerned, body what was done; the actor and the reason are the row's own."""
OWNERS_MAX: Final = 20_000
"""Owners whose entries are kept in memory; of more, those not asked for longest go."""
POLL_SECONDS: Final = 0.5
"""Between two looks for changes of other processes."""
STALE_SECONDS: Final = 5.0
"""Without a look that worked for so long, what is in memory may be old."""
CHANGES_MAX: Final = 500
"""Changes read at once."""


class Shelf(Protocol):
    """What the directory needs of the store."""

    def submit_together(self, commands: Sequence[Command]) -> Awaitable[tuple[Done, ...] | Refusal]:
        """Apply all commands or none, in one commit."""
        ...

    async def entry(self, tenant: str, kind: str, key: str) -> DirectoryEntry | None:
        """A directory entry; None where there is none that is live now."""
        ...

    async def entries_of(self, tenant: str, owner: str) -> tuple[DirectoryEntry, ...]:
        """Every live entry of one owner."""
        ...

    async def entries(
        self, tenant: str, kind: str, *, within: str = "", limit: int, cursor: str | None
    ) -> Page[DirectoryEntry]:
        """The live entries of a kind whose keys begin with `within`, in the order of their keys."""
        ...

    async def entries_changed(self, after_seq: int, limit: int) -> tuple[tuple[DirectoryEntry, ...], int]:
        """The first entries changed after `after_seq`, and the last seq among them."""
        ...

    async def directory_seq(self) -> int:
        """The seq of the last change."""
        ...


@fact
class Document:
    """A live entry, read."""

    kind: str
    key: str
    owner: str
    body: Mapping[str, Any]
    version: int
    """What a change of it must expect."""
    expires_us: int
    changed_us: int


@fact
class Profile:
    """Everything known of one owner at one instant."""

    owner: str
    stamp: int
    """Another one for every reading: what was made from this profile may be kept beside its stamp. It means nothing elsewhere."""
    until_us: int
    """From when on it does not hold any more, because an entry expires."""
    documents: Mapping[str, Mapping[str, Document]]
    """By kind and key."""

    def one(self, kind: str, key: str | None = None) -> Document | None:
        """The document of a kind and key (None: the key is the owner); None where there is none."""
        found = self.documents.get(kind)
        return None if found is None else found.get(self.owner if key is None else key)

    def all(self, kind: str) -> tuple[Document, ...]:
        """The documents of a kind, in the order of their keys."""
        return tuple(self.documents.get(kind, {}).values())


@fact
class Act:
    """An administrative act: it leaves a row for the audit in the commit of what it did."""

    actor: str
    """Who did it: a user's id, or the name of an operator's tool."""
    action: str
    """What, in one word or two, such as `createApiKey`."""
    target: str
    """Whom or what it concerns: an owner such as `user:ID`."""
    reason: str = ""
    body: Mapping[str, object] = field(default_factory=dict)
    """What was set, without secrets."""

    def row(self) -> Keep:
        """The audit row."""
        text = orjson.dumps({"action": self.action, **self.body}).decode()
        return Keep(KeptRow(TENANT, AUDIT, self.target, text, self.actor, self.reason))


class Directory:
    """The owners' profiles. `known` is for every call; what it does not have, `of` reads."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        seq: int,
        clock_us: Callable[[], int],
        monotonic: Callable[[], float],
        on_stale: Callable[[bool], None] = lambda _: None,
        owners_max: int = OWNERS_MAX,
    ) -> None:
        self._shelf = shelf
        self._seq = seq
        self._clock_us = clock_us
        self._monotonic = monotonic
        self._on_stale = on_stale
        self._owners_max = owners_max
        self._profiles: OrderedDict[str, Profile] = OrderedDict()
        self._stamps = count(1)
        self._reading: dict[str, set[int]] = {}
        """Readings under way, by owner; an eviction takes them away, so that they are not kept."""
        self._looked_at = monotonic()
        self._is_told = False
        self._listeners: list[Callable[[DirectoryEntry], None]] = []

    @classmethod
    async def opened(
        cls,
        shelf: Shelf,
        *,
        clock_us: Callable[[], int],
        monotonic: Callable[[], float],
        on_stale: Callable[[bool], None] = lambda _: None,
    ) -> "Directory":
        """A directory that hears of every change from now on. `on_stale` is told when changes cannot be read, and when again.

        Raises: StorageUnavailable.
        """
        seq = await shelf.directory_seq()
        return cls(shelf, seq=seq, clock_us=clock_us, monotonic=monotonic, on_stale=on_stale)

    @property
    def is_current(self) -> bool:
        """False while changes of other processes may have been missed for longer than `STALE_SECONDS`."""
        return self._monotonic() - self._looked_at <= STALE_SECONDS

    def known(self, owner: str) -> Profile | None:
        """The owner's profile if it is in memory; an owner without entries has an empty one."""
        profile = self._profiles.get(owner)
        if profile is None or self._clock_us() >= profile.until_us:
            return None
        self._profiles.move_to_end(owner)
        return profile

    async def of(self, owner: str) -> Profile:
        """The owner's profile, read where it is not in memory. Raises: StorageUnavailable."""
        return self.known(owner) or await self.fresh(owner)

    async def fresh(self, owner: str) -> Profile:
        """The owner's profile as the database has it now. Raises: StorageUnavailable."""
        stamp = next(self._stamps)
        self._reading.setdefault(owner, set()).add(stamp)
        try:
            profile = _profile(owner, stamp, await self._shelf.entries_of(TENANT, owner))
        finally:
            is_kept = self._end_reading(owner, stamp)
        if is_kept:
            self._profiles[owner] = profile
            self._profiles.move_to_end(owner)
            while len(self._profiles) > self._owners_max:
                self._profiles.popitem(last=False)
        return profile

    def _end_reading(self, owner: str, stamp: int) -> bool:
        """Whether the reading may be kept: nobody evicted the owner meanwhile."""
        under_way = self._reading.get(owner)
        if under_way is None or stamp not in under_way:
            return False
        under_way.discard(stamp)
        if not under_way:
            del self._reading[owner]
        return True

    async def entry(self, kind: str, key: str) -> Document | None:
        """One entry as the database has it now. Raises: StorageUnavailable."""
        found = await self._shelf.entry(TENANT, kind, key)
        return None if found is None else document_of(found)

    async def page(self, kind: str, *, within: str = "", limit: int = 50, cursor: str | None = None) -> Page[Document]:
        """Every owner's entries of a kind whose keys begin with `within`, in the order of their keys.

        Raises: InvalidCursor, StorageUnavailable.
        """
        page = await self._shelf.entries(TENANT, kind, within=within, limit=limit, cursor=cursor)
        return Page(tuple(map(document_of, page.rows)), page.next_cursor)

    def evict(self, owner: str) -> None:
        """Forget what is known of the owner; readings under way are not kept."""
        self._profiles.pop(owner, None)
        self._reading.pop(owner, None)

    async def put(self, act: Act | None, puts: Sequence[Put], *more: Command) -> tuple[Done, ...]:
        """Write entries, the act's audit row and whatever else belongs to them in one commit; `puts` come first in the answer.

        Raises: VersionChanged, NotFound or another Fault of a refusal; StorageUnavailable.
        """
        commands = (*puts, *more, *(() if act is None else (act.row(),)))
        try:
            outcome = await self._shelf.submit_together(commands)
        finally:
            for put in puts:  # also when nobody knows whether it was committed
                self.evict(put.entry.owner)
        if isinstance(outcome, Refusal):
            raise_refusal(outcome)
        return outcome

    def tell(self, listener: Callable[[DirectoryEntry], None]) -> None:
        """Tell of every change from now on, also of those made here, within `POLL_SECONDS`."""
        self._listeners.append(listener)

    async def poll(self) -> None:
        """Hear of the changes of other processes. Raises: StorageUnavailable."""
        try:
            is_more = True
            while is_more:
                changed, self._seq = await self._shelf.entries_changed(self._seq, CHANGES_MAX)
                for entry in changed:
                    self.evict(entry.owner)
                    for listener in self._listeners:
                        listener(entry)
                is_more = len(changed) == CHANGES_MAX
        except BaseException:
            self._tell()
            raise
        self._looked_at = self._monotonic()
        self._tell()

    def _tell(self) -> None:
        is_stale = not self.is_current
        if is_stale != self._is_told:
            self._is_told = is_stale
            self._on_stale(is_stale)


def document_of(entry: DirectoryEntry) -> Document:
    """The document of an entry that is not deleted."""
    return Document(
        entry.kind,
        entry.key,
        entry.owner,
        orjson.loads(entry.body),
        entry.version,
        entry.expires_us,
        entry.changed_us,
    )


def putting(
    kind: str,
    key: str,
    owner: str,
    body: Mapping[str, object] | None,
    *,
    expect: int | None = None,
    expires_us: int = NEVER_US,
) -> Put:
    """The command that writes a document; None deletes it."""
    text = "" if body is None else orjson.dumps(body).decode()
    return Put(DirectoryEntry(TENANT, kind, key, owner, text, expires_us), expect)


def _profile(owner: str, stamp: int, entries: Sequence[DirectoryEntry]) -> Profile:
    documents: dict[str, dict[str, Document]] = {}
    for entry in entries:
        documents.setdefault(entry.kind, {})[entry.key] = document_of(entry)
    return Profile(owner, stamp, min((entry.expires_us for entry in entries), default=NEVER_US), documents)
