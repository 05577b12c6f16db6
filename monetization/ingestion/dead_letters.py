"""Dead letters: events that are sound and cannot be rated yet, kept until somebody mends the cause, replays or gives them up.

A letter is a directory entry of its own owner. Keeping it takes the event's identity, so that a resend is a duplicate of it; what
a replay books is another identity of the same event, in the commit that takes the letter away. Nothing is priced here.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from billing.accounts import TENANT
from monetization.directory import Act, Directory, Document, putting
from monetization.ingestion.booking import SCOPE, identity
from monetization.ingestion.events import SOURCE, Event, Window, event_of
from monetization.ingestion.rejecting import Unrated
from storage.errors import NotFound
from storage.records.commands import Forget, Put
from storage.records.directory import DirectoryEntry
from storage.records.fact import fact
from storage.records.ledger import Page
from storage.records.money import AMOUNT_MAX

# Any: an event as it was said is JSON.

DEAD_LETTER: Final = "dead_letter"
"""Documents of this kind: owner `event:ID`, key ID, where IDs rise with the time of arrival."""
COUNTED_MAX: Final = 10_000
PAGE: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANY_TIME: Final = Window(AMOUNT_MAX // 2, AMOUNT_MAX // 2, AMOUNT_MAX // 2)
"""When the event arrived its time was looked at, and that is enough."""


@fact
class Letter:
    """One event that waits."""

    id: str
    reason: str
    detail: str
    """What must be mended."""
    said: Mapping[str, Any]
    """The event's members, its timestamp among them."""
    received_us: int
    version: int
    """What a change of it must expect."""

    def event(self) -> Event:
        """The event. Raises: Rejected where this version of the program takes no such event any more."""
        return event_of(dict(self.said), _ANY_TIME)


def keeping(event: Event, why: Unrated, *, now_us: int, dedupe_us: int) -> tuple[str, Put]:
    """The letter's id and the command that keeps it, once for the event's identity."""
    digits = hashlib.blake2b(f"{event.source}\x00{event.id}".encode(), digest_size=8).hexdigest()
    letter_id = f"{now_us:016d}-{digits}"
    body = {
        "event": {**event.said, "timestamp": _iso(event.occurred_us)},
        "reason": why.reason,
        "detail": why.detail,
    }
    entry = DirectoryEntry(TENANT, DEAD_LETTER, letter_id, _owner(letter_id), orjson.dumps(body).decode())
    return letter_id, Put(entry, idempotency=identity(event, expires_us=now_us + dedupe_us))


def taking_away(letter: Letter) -> Put:
    """The command that takes the letter away, unless somebody else has."""
    return putting(DEAD_LETTER, letter.id, _owner(letter.id), None, expect=letter.version)


@fact
class Waiting:
    """What waits, by its reasons."""

    by_reason: Mapping[str, int]
    oldest_us: int | None
    is_more: bool
    """Only the first `COUNTED_MAX` were counted."""


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The letters that wait."""

    directory: Directory

    async def page(self, *, limit: int, cursor: str | None = None) -> Page[Letter]:
        """Letters, the oldest first. Raises: InvalidCursor, StorageUnavailable."""
        page = await self.directory.page(DEAD_LETTER, limit=limit, cursor=cursor)
        return Page(tuple(map(_letter, page.rows)), page.next_cursor)

    async def waiting(self) -> Waiting:
        """How many wait. Raises: StorageUnavailable."""
        by_reason: Counter[str] = Counter()
        oldest_us, cursor = None, None
        while sum(by_reason.values()) < COUNTED_MAX:
            page = await self.page(limit=PAGE, cursor=cursor)
            by_reason.update(letter.reason for letter in page.rows)
            oldest_us = page.rows[0].received_us if page.rows and oldest_us is None else oldest_us
            cursor = page.next_cursor
            if cursor is None:
                break
        return Waiting(by_reason, oldest_us, is_more=cursor is not None)

    async def get(self, letter_id: str) -> Letter:
        """One letter. Raises: NotFound, StorageUnavailable."""
        found = await self.directory.entry(DEAD_LETTER, letter_id)
        if found is None:
            raise NotFound(
                "there is no such dead letter; listDeadLetters names those that wait", data={"id": letter_id}
            )
        return _letter(found)

    async def delete(self, actor: str, reason: str, letter: Letter) -> None:
        """Give an event up; what it was stands in the audit, and its id may be told anew.

        Raises: VersionChanged when somebody else has just replayed or deleted it; StorageUnavailable.
        """
        said, act = letter.said, act_on("deleteDeadLetter", actor, reason, letter)
        key = (TENANT, SCOPE + str(said.get("source", SOURCE)), str(said["event_id"]))
        await self.directory.put(act, [taking_away(letter)], Forget(keys=(key,)))


def act_on(action: str, actor: str, reason: str, letter: Letter) -> Act:
    """The audit's word on what was done with a letter."""
    return Act(actor, action, _owner(letter.id), reason, {"event": letter.said, "cause": letter.reason})


def _iso(at_us: int) -> str:
    """To the microsecond, so that a replay books the same instant."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat()


def _owner(letter_id: str) -> str:
    return f"event:{letter_id}"


def _letter(document: Document) -> Letter:
    body = document.body
    return Letter(document.key, body["reason"], body["detail"], body["event"], document.changed_us, document.version)
