"""The notices that were told: each written once, with the event that carries it out, in one commit; listed and marked as read.

They are directory entries of owners of their own, so that no call that loads a user's profile carries them along. They go by
themselves after `KEPT_US`.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from billing.accounts import TENANT
from monetization.notices.kinds import PRIORITIES, TYPES, Notice, NoticeType, Priority, title_of
from storage.errors import InvalidCursor, NotFound
from storage.records.commands import Announce, Command, Done, Event, Put, Refusal
from storage.records.directory import DirectoryEntry
from storage.records.fact import fact

NOTICE: Final = "notice"
"""Directory entries of this kind: key the owner and the notice's id, owner `notices:` and the owner."""
TOPIC: Final = "notice"
"""Outgoing events of this topic carry notices; those of quota thresholds have their own."""
KEPT_US: Final = 90 * 86_400_000_000
"""How long a notice can be read."""

# Any: a body is JSON of our own writing.


class Shelf(Protocol):
    """What the desk needs of the store."""

    def submit_together(self, commands: Sequence[Command]) -> Awaitable[tuple[Done, ...] | Refusal]:
        """Apply all commands or none, in one commit."""
        ...

    async def entry(self, tenant: str, kind: str, key: str) -> DirectoryEntry | None:
        """The live entry."""
        ...

    async def entries_of(self, tenant: str, owner: str) -> tuple[DirectoryEntry, ...]:
        """All live entries of one owner."""
        ...


@fact
class Told:
    """A notice that was told."""

    id: str
    type: NoticeType
    priority: Priority
    message: str
    data: dict[str, Any]
    told_us: int
    read_us: int | None

    @property
    def title(self) -> str:
        """Its heading."""
        return title_of(self.type)


@dataclass(frozen=True, slots=True)
class Notices:
    """Tells and shows. Every method may raise StorageUnavailable."""

    shelf: Shelf

    async def tell(self, notice: Notice, now_us: int, *, is_sent: bool = False) -> bool:
        """Write a notice, unless it was told in its period already; then False. `is_sent`: an event carries it already."""
        key = _key(notice.owner, notice.id)
        if await self.shelf.entry(TENANT, NOTICE, key) is not None:
            return False
        body = {
            "type": notice.type,
            "message": notice.message,
            "data": notice.data,
            "toldUs": now_us,
            "readUs": None,
        }
        commands: list[Command] = [_put(notice.owner, key, body, now_us, expect=0)]
        if not is_sent:
            said = {"id": notice.id, "owner": notice.owner, "priority": notice.priority, **body}
            commands.append(Announce(TENANT, Event(f"{TOPIC}.{notice.type}", orjson.dumps(said).decode())))
        return not isinstance(await self.shelf.submit_together(commands), Refusal)  # refused: another process was first

    async def of(self, owner: str) -> list[Told]:
        """All notices of an owner, the newest first."""
        found = [_told(owner, entry) for entry in await self.shelf.entries_of(TENANT, _place(owner))]
        return sorted(found, key=lambda told: (-told.told_us, told.id))

    async def page(
        self, owner: str, *, limit: int, cursor: str | None, unread: bool
    ) -> tuple[list[Told], str | None, int]:
        """Some of them from after the cursor's, the cursor of those that follow, and how many are unread in all."""
        found = await self.of(owner)
        count = sum(1 for told in found if told.read_us is None)
        if unread:
            found = [told for told in found if told.read_us is None]
        after = _cursor(cursor)
        if after is not None:
            found = [told for told in found if (-told.told_us, told.id) > after]
        page = found[:limit]
        is_more = len(found) > limit
        return page, f"{page[-1].told_us}.{page[-1].id}" if is_more else None, count

    async def mark_read(self, owner: str, notice_id: str | None, now_us: int) -> int:
        """Mark one notice as read, or all of them; returns how many were unread before. Raises: NotFound."""
        marked = 0
        found = await self.shelf.entries_of(TENANT, _place(owner))
        if notice_id is not None:
            found = tuple(entry for entry in found if entry.key == _key(owner, notice_id))
            if not found:
                raise NotFound("there is no such notice of yours; listNotifications names those that there are")
        for entry in found:
            body = orjson.loads(entry.body)
            if body["readUs"] is None:
                body["readUs"] = now_us
                put = Put(_entry(owner, entry.key, body, entry.expires_us), entry.version)
                marked += not isinstance(await self.shelf.submit_together([put]), Refusal)
        return marked


def _place(owner: str) -> str:
    return f"notices:{owner}"


def _key(owner: str, notice_id: str) -> str:
    return f"{owner}/{notice_id}"


def _put(owner: str, key: str, body: dict[str, Any], now_us: int, *, expect: int) -> Put:
    return Put(_entry(owner, key, body, now_us + KEPT_US), expect)


def _entry(owner: str, key: str, body: dict[str, Any], expires_us: int) -> DirectoryEntry:
    return DirectoryEntry(TENANT, NOTICE, key, _place(owner), orjson.dumps(body).decode(), expires_us)


def _told(owner: str, entry: DirectoryEntry) -> Told:
    body = orjson.loads(entry.body)
    kind: NoticeType = body["type"] if body["type"] in TYPES else "unusual_usage"
    return Told(
        id=entry.key.removeprefix(f"{owner}/"),
        type=kind,
        priority=PRIORITIES[kind],
        message=body["message"],
        data=body["data"],
        told_us=body["toldUs"],
        read_us=body["readUs"],
    )


def _cursor(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    told, _, notice_id = cursor.partition(".")
    if not (told.isascii() and told.isdigit() and notice_id):
        raise InvalidCursor
    return -int(told), notice_id
