"""Making, listing, rotating and revoking gateway keys, each in one commit with its audit row. Who may do so is decided above."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Final

from monetization.directory import Act, Directory, Document, Profile, putting
from monetization.errors import KeysOff, TooManyKeys
from monetization.keys.minting import Mint
from monetization.keys.records import (
    API_KEY,
    API_KEY_OF,
    KeyHolder,
    KeyRecord,
    KeyTerms,
    body_of,
    owner_of,
    record_of,
    rotated,
)
from monetization.once import Act as Asked
from monetization.once import Once
from monetization.price_setting import Author
from monetization.subscriptions import SUBSCRIPTION
from storage.errors import IdempotencyConflict, NotFound
from storage.records.commands import RequireVersion
from storage.records.fact import fact
from storage.records.ledger import Page

KEYS_MAX: Final = 100
"""Keys of one user, or of one organization alone, that are listed, those that ended lately included."""
PAGE: Final = 100


@fact
class Issued:
    """A key with its secret, which nobody can be told again."""

    record: KeyRecord
    key: str


class KeyDesk:
    """The keys that this gateway has issued."""

    def __init__(self, directory: Directory, mint: Mint | None, clock_us: Callable[[], int], once: Once) -> None:
        self._directory = directory
        self._mint = mint
        self._clock_us = clock_us
        self._once = once

    async def create(self, author: Author, holder: KeyHolder, terms: KeyTerms, *required: RequireVersion) -> Issued:
        """Make a key. Raises: KeysOff, TooManyKeys, VersionChanged where `required` does not stand, StorageUnavailable."""
        return await self._create(author, holder, terms, _asked(author, holder, terms, None), required)

    async def create_once(
        self, author: Author, holder: KeyHolder, terms: KeyTerms, key: str | None, *required: RequireVersion
    ) -> Issued | KeyRecord:
        """Make a key; once for its maker's idempotency key: a repetition finds the record, its secret nobody knows any more.

        Raises: KeysOff, TooManyKeys, IdempotencyConflict, NotFound for a repetition after the key has gone, StorageUnavailable.
        """
        asked = _asked(author, holder, terms, key)
        first = await self._once.first(asked)
        if first is None:
            try:
                return await self._create(author, holder, terms, asked, required)
            except IdempotencyConflict:  # of two at once this is the second
                first = await self._once.first(asked)
                if first is None:
                    raise
        return await self.get(first.wrote["keyId"])

    async def _create(
        self, author: Author, holder: KeyHolder, terms: KeyTerms, asked: Asked, required: Sequence[RequireVersion]
    ) -> Issued:
        mint = self._open()
        owner = holder.owner
        found = await self._directory.fresh(owner)
        if await self._has_subscription(found, holder):
            holder = replace(holder, tier=None)  # what is stored says the tier, and nothing once it has ended
        if len(found.all(API_KEY_OF)) >= KEYS_MAX:
            raise TooManyKeys(f"nobody has more than {KEYS_MAX} keys; revoke some, they disappear after 30 days")
        key_id = mint.new_id()
        key = mint.key(key_id)
        record = KeyRecord(key_id, mint.hash_of(key), holder, terms, self._clock_us(), author.actor)
        puts = [
            putting(API_KEY, key_id, owner_of(key_id), body_of(record), expect=0, expires_us=record.kept_until_us),
            putting(API_KEY_OF, key_id, owner, {"keyId": key_id}, expect=0, expires_us=record.kept_until_us),
        ]
        shown = {"keyId": key_id, "label": terms.label, "createdFor": holder.user_id or owner}
        note = self._once.note(asked, {"keyId": key_id}, author.actor)
        await self._directory.put(
            Act(author.actor, "createApiKey", owner, author.reason, shown), puts, *required, *note
        )
        return Issued(replace(record, version=1), key)

    async def of_owner(self, owner: str) -> list[KeyRecord]:
        """The keys of `user:ID`, or those of `org:ID` alone, the newest first, those that ended lately included.

        Raises: KeysOff, StorageUnavailable.
        """
        self._open()
        mine = (await self._directory.fresh(owner)).all(API_KEY_OF)
        found = [await self._document(reference.key) for reference in mine]
        records = [record_of(document) for document in found if document is not None]
        return sorted(records, key=lambda record: (-record.created_us, record.id))

    async def all(self, cursor: str | None = None) -> Page[KeyRecord]:
        """Everybody's keys, in the order of their ids. Raises: KeysOff, InvalidCursor, StorageUnavailable."""
        self._open()
        page = await self._directory.page(API_KEY, limit=PAGE, cursor=cursor)
        return Page(tuple(map(record_of, page.rows)), page.next_cursor)

    async def get(self, key_id: str) -> KeyRecord:
        """One key. Raises: NotFound, KeysOff, StorageUnavailable."""
        self._open()
        document = await self._document(key_id)
        if document is None:
            raise NotFound("there is no such key; listApiKeys names those that there are", data={"keyId": key_id[:64]})
        return record_of(document)

    async def rotate(self, author: Author, record: KeyRecord, *, overlap_us: int) -> Issued:
        """Give the key another secret; the one it has is accepted for `overlap_us` longer.

        Raises: NotFound for a key that has ended; VersionChanged when it was changed since it was read; StorageUnavailable.
        """
        mint, now = self._open(), self._clock_us()
        if record.status(now) != "active":
            raise NotFound("the key has ended; make a new one with createApiKey", data={"keyId": record.id})
        key = mint.key(record.id)
        new = rotated(record, mint.hash_of(key), now_us=now, overlap_us=overlap_us)
        await self._write(
            Act(author.actor, "rotateApiKey", record.holder.owner, author.reason, {"keyId": record.id}), new
        )
        return Issued(new, key)

    async def revoke(self, author: Author, record: KeyRecord) -> KeyRecord:
        """End the key now, on every worker within a second. A key that has ended already stays as it is.

        Raises: VersionChanged when it was changed since it was read; StorageUnavailable.
        """
        if record.revoked_us is not None:
            return record
        new = replace(record, revoked_us=self._clock_us(), previous_hash=None, previous_until_us=0)
        await self._write(
            Act(author.actor, "revokeApiKey", record.holder.owner, author.reason, {"keyId": record.id}), new
        )
        return new

    async def _write(self, act: Act, record: KeyRecord) -> None:
        until = record.kept_until_us
        puts = [
            putting(API_KEY, record.id, owner_of(record.id), body_of(record), expect=record.version, expires_us=until),
            putting(API_KEY_OF, record.id, record.holder.owner, {"keyId": record.id}, expires_us=until),
        ]
        await self._directory.put(act, puts)

    async def _has_subscription(self, user: Profile, holder: KeyHolder) -> bool:
        if user.one(SUBSCRIPTION) is not None or holder.organization_id is None:
            return user.one(SUBSCRIPTION) is not None
        return (await self._directory.of(f"org:{holder.organization_id}")).one(SUBSCRIPTION) is not None

    async def _document(self, key_id: str) -> Document | None:
        return await self._directory.entry(API_KEY, key_id)

    def _open(self) -> Mint:
        if self._mint is None:
            raise KeysOff("this server issues no keys; its operator sets keys.secret")
        return self._mint


def _asked(author: Author, holder: KeyHolder, terms: KeyTerms, key: str | None) -> Asked:
    """What was asked for. Idempotency keys are each maker's own: nobody meets a key of somebody else."""
    name = f"create_api_key/{hashlib.blake2b(author.actor.encode(), digest_size=16).hexdigest()}"
    return Asked(name, key, {"for": holder.user_id or holder.owner, "terms": json.loads(json.dumps(asdict(terms)))})
