"""`tollgate keys`: gateway keys made, listed, rotated and ended on the command line, and kept provider keys sealed anew.

Listing works while a server runs. The rest needs the embedded file for itself, because SQLite serves one writer.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from billing.accounts import TENANT
from methods.context import Keys
from monetization.directory import Directory, document_of
from monetization.keys.desk import Issued
from monetization.keys.records import API_KEY, KeyHolder, KeyRecord, KeyTerms, record_of
from monetization.organizations import standing
from monetization.periods import iso
from monetization.price_setting import Author
from monetization.roles import TELLING
from server.cli_money import ACTOR, BooksRefused, instant
from server.from_settings import tiers_of
from server.key_parts import key_parts
from storage.errors import Fault, StoreInUse, StoreRefused
from storage.records.money import NEVER_US
from storage.store import open_reader, open_store

if TYPE_CHECKING:
    from server.config import Settings

_PAGE = 500
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Order:
    """A key as it was typed."""

    user: str | None
    organization: str | None = None
    """The user's; without a user: whose own key it is."""
    tier: str | None = None
    name: str = ""
    scopes: Sequence[str] | None = None
    models: Sequence[str] = ()
    rpm: int | None = None
    expires: str | None = None

    def holder(self) -> KeyHolder:
        """For whom the key acts."""
        return KeyHolder(self.user, self.organization, tier=self.tier)

    def terms(self) -> KeyTerms:
        """What the key may do. Raises: BooksRefused for a date that is none, or past."""
        expires = instant(self.expires)
        if expires <= _now_us():
            raise BooksRefused(f"--expires {self.expires}: lies in the past; name a later date")
        return KeyTerms(
            label=self.name,
            scopes=None if self.scopes is None else tuple(self.scopes),
            models=tuple(self.models),
            limits={} if self.rpm is None else {"rpm": self.rpm},
            expires_us=expires,
        )


def created(settings: "Settings", order: Order) -> list[str]:
    """Make a key and show it, this once. Raises: BooksRefused, also while a server has the embedded file."""
    holder, terms = order.holder(), order.terms()
    if order.tier is not None and tiers_of(settings).key_of(order.tier) is None:
        raise BooksRefused(f"--tier {order.tier}: there is no such tier; tollgate doctor names those that there are")
    if holder.user_id is None and TELLING in (terms.scopes or ()):
        raise BooksRefused(f"--scope {TELLING}: a key with it is a user's; give --user")

    async def create(keys: Keys, directory: Directory) -> Issued:
        alone = holder.organization_id if holder.user_id is None else None
        stands = [] if alone is None else [await standing(directory, alone)]
        return await keys.issued.create(Author(ACTOR), holder, terms, *stands)

    issued = _write(settings, create)
    return [issued.key, f"key {issued.record.id} of {_whose(issued.record)}; it is not shown again"]


def rotated(settings: "Settings", key_id: str, overlap_seconds: int) -> list[str]:
    """Give a key another secret and show it, this once. Raises: BooksRefused."""

    async def rotate(keys: Keys, _: Directory) -> str:
        record = await keys.issued.get(key_id)
        return (await keys.issued.rotate(Author(ACTOR), record, overlap_us=overlap_seconds * 1_000_000)).key

    return [_write(settings, rotate), f"the secret before it is accepted for {overlap_seconds} seconds more"]


def revoked(settings: "Settings", key_id: str, reason: str) -> list[str]:
    """End a key. Raises: BooksRefused."""

    async def revoke(keys: Keys, _: Directory) -> KeyRecord:
        return await keys.issued.revoke(Author(ACTOR, reason), await keys.issued.get(key_id))

    record = _write(settings, revoke)
    return [f"key {record.id} of {_whose(record)} is revoked"]


def resealed(settings: "Settings") -> list[str]:
    """Seal every kept provider key under the newest encryption key. Raises: BooksRefused."""
    broken: list[str] = []
    done = _write(settings, lambda keys, _: keys.kept.reseal(), broken.append)
    lost = f"; {len(broken)} cannot be opened with the configured keys and stay as they are" if broken else ""
    return [f"{done} kept provider keys were sealed anew{lost}; older encryption keys may go once this says 0"]


def listed(settings: "Settings", user: str | None, organization: str | None = None) -> list[str]:
    """Every key, those of one user or those of an organization alone, also while a server runs. Raises: BooksRefused."""

    async def look() -> list[KeyRecord]:
        found: list[KeyRecord] = []
        cursor: str | None = None
        async with open_reader(_url(settings), clock_us=_now_us) as reader:
            while True:
                page = await reader.entries(TENANT, API_KEY, limit=_PAGE, cursor=cursor)
                found += [record_of(document_of(entry)) for entry in page.rows]
                cursor = page.next_cursor
                if cursor is None:
                    return found

    try:
        records = asyncio.run(look())
    except (StoreRefused, Fault) as refused:
        raise BooksRefused(str(refused)) from None
    now = _now_us()
    if user is not None:
        records = [record for record in records if record.holder.user_id == user]
    elif organization is not None:
        records = [record for record in records if record.holder.owner == f"org:{organization}"]
    return [
        _columns("key", "status", "user", "created", "expires", "name"),
        *(_line(record, now) for record in records),
    ]


def _whose(record: KeyRecord) -> str:
    """The user, or the organization that it belongs to alone."""
    return record.holder.user_id or record.holder.owner


def _line(record: KeyRecord, now_us: int) -> str:
    expires = record.terms.expires_us
    return _columns(
        record.id,
        record.status(now_us),
        _whose(record),
        iso(record.created_us),
        "never" if expires == NEVER_US else iso(expires),
        record.terms.label,
    )


def _columns(key: str, status: str, user: str, made: str, expires: str, name: str) -> str:
    return f"{key:<16} {status:<8} {user:<24} {made:<20} {expires:<20} {name}".rstrip()


def _write(
    settings: "Settings",
    act: Callable[[Keys, Directory], Awaitable[Found]],
    on_broken: Callable[[str], None] = lambda _: None,
) -> Found:
    async def acted() -> Found:
        async with open_store(_url(settings), clock_us=_now_us) as store:
            directory = await Directory.opened(store, clock_us=_now_us, monotonic=lambda: 0.0)  # it lives for one act
            tiers = tiers_of(settings)
            parts = key_parts(
                settings.keys,
                directory,
                store,
                lambda: tiers,
                clock_us=_now_us,
                random_bytes=os.urandom,
                on_broken=on_broken,
            )
            return await act(parts.used, directory)

    try:
        return asyncio.run(acted())
    except StoreInUse:
        raise BooksRefused(
            "a server runs on this database, and SQLite serves one writer; stop it, or call createApiKey, rotateApiKey or "
            "revokeApiKey on it with the token of an admin"
        ) from None
    except (StoreRefused, Fault) as refused:
        raise BooksRefused(str(refused)) from None


def _url(settings: "Settings") -> str:
    return settings.storage.url.get_secret_value()


def _now_us() -> int:
    return time.time_ns() // 1_000
