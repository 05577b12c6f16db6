"""Provider keys that users leave here: stored sealed, shown as a preview, opened only for a call of their owner.

Whose a key is comes from the credential alone. Plain keys live in the calls that use them, and in this process's memory for a
bounded number of owners, so that a call pays no deciphering.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from monetization.callers import Caller, Secret
from monetization.directory import Act, Directory, Document, Profile, putting
from monetization.errors import KeysOff
from monetization.funding import TENANT
from monetization.keys.sealing import Seal, SealBroken
from monetization.price_setting import Author
from monetization.terms import Most
from storage.errors import NotFound
from storage.records.commands import Done
from storage.records.fact import fact

PROVIDER_KEY: Final = "provider_key"
"""Owner `user:ID`, key `ID/PROVIDER`."""
_OPENED_MAX: Final = 10_000
_PREVIEW: Final = 8
_LONG_ENOUGH: Final = 24
"""A shorter key shows less: its first eight characters would be too much of it."""


@fact
class KeptKey:
    """What may be told of a kept key."""

    id: str
    provider: str
    preview: str
    is_default: bool
    """True: calls of its owner that name no key are served with it."""
    created_us: int
    rotated_us: int | None
    version: int


class ProviderKeys:
    """The provider keys of all users."""

    def __init__(
        self,
        directory: Directory,
        seal: Seal | None,
        *,
        clock_us: Callable[[], int],
        new_id: Callable[[], str],
        is_byok: Callable[[str], bool],
        on_broken: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._directory = directory
        self._seal = seal
        self._clock_us = clock_us
        self._new_id = new_id
        self._is_byok = is_byok
        self._on_broken = on_broken
        self._opened: OrderedDict[tuple[str, str], tuple[str, Secret]] = OrderedDict()
        """By owner and key: what was sealed, and what it says."""

    async def store(self, author: Author, user_id: str, provider: str, key: Secret, *, is_default: bool) -> KeptKey:
        """Keep a key; one that is there already is replaced. Raises: KeysOff, VersionChanged, StorageUnavailable."""
        seal = self._open()
        before = await self._found(user_id, provider)
        now = self._clock_us()
        kept = KeptKey(self._new_id(), provider, _preview(key), is_default, now, None, 0)
        return await self._write(seal, author, "storeUserKey", user_id, kept, key, before)

    async def rotate(self, author: Author, user_id: str, provider: str, key: Secret) -> KeptKey:
        """Put another key in the place of the kept one. Raises: NotFound, KeysOff, VersionChanged, StorageUnavailable."""
        seal = self._open()
        before = await self._get(user_id, provider)
        old = _kept(before)
        kept = KeptKey(old.id, provider, _preview(key), old.is_default, old.created_us, self._clock_us(), old.version)
        return await self._write(seal, author, "rotateUserKey", user_id, kept, key, before)

    async def delete(self, author: Author, user_id: str, provider: str) -> bool:
        """Forget a key. False: there was none. Raises: KeysOff, VersionChanged, StorageUnavailable."""
        self._open()
        before = await self._found(user_id, provider)
        if before is None:
            return False
        owner = f"user:{user_id}"
        act = Act(author.actor, "deleteUserKey", owner, author.reason, {"provider": provider})
        await self._directory.put(act, [putting(PROVIDER_KEY, before.key, owner, None, expect=before.version)])
        return True

    async def all(self, user_id: str) -> list[KeptKey]:
        """What may be told of the user's keys, by provider. Raises: KeysOff, StorageUnavailable."""
        self._open()
        return [_kept(document) for document in (await self._directory.fresh(f"user:{user_id}")).all(PROVIDER_KEY)]

    async def get(self, user_id: str, provider: str) -> KeptKey | None:
        """What may be told of one key; None where none is kept. Raises: KeysOff, StorageUnavailable."""
        self._open()
        document = await self._found(user_id, provider)
        return None if document is None else _kept(document)

    async def reveal(self, user_id: str, provider: str) -> Secret:
        """The key itself, for a call to its provider. Raises: NotFound, KeysOff, StorageUnavailable."""
        self._open()
        return self._secret(await self._get(user_id, provider))

    async def bring(self, caller: Caller, most: Most) -> Caller:
        """The caller with the kept key of the provider that will serve the call, where one is to be used; else unchanged.

        Of several that were asked for alike, the first whose key is kept serves the call.

        A kept key serves calls that bring none, if its owner has chosen so, or the tier is served with own keys only.
        For a caller without kept keys this is a look into memory. Raises: NotFound for a key that opens no more;
        StorageUnavailable.
        """
        if self._seal is None or caller.user_id is None or caller.own_key is not None or not most.targets:
            return caller
        profile = await self._directory.of(f"user:{caller.user_id}")
        if PROVIDER_KEY not in profile.documents:
            return caller
        is_byok = self._is_byok(caller.tier)
        # What stands in for the one model that was asked for does so at the operator's cost, not at the caller's.
        alike = most.route.equals if most.route is not None and most.route.asked is None else most.targets[:1]
        for target in alike:
            document = _document(profile, caller.user_id, target.provider)
            if document is not None and (document.body.get("isDefault") or is_byok):
                return caller.bringing(self._secret(document), target.provider)
        return caller

    async def reseal(self) -> int:
        """Seal every key anew that an older key sealed. Returns how many. Raises: KeysOff, StorageUnavailable."""
        self._open()
        done, cursor = 0, None
        while True:
            page = await self._directory.page(PROVIDER_KEY, limit=100, cursor=cursor)
            for document in page.rows:
                done += await self._resealed(document)
            cursor = page.next_cursor
            if cursor is None:
                return done

    async def _resealed(self, document: Document) -> bool:
        seal = self._open()
        try:
            opened = seal.open(document.body["sealed"], _row(document.key))
        except SealBroken as broken:
            self._on_broken(str(broken))
            return False
        if not opened.is_old:
            return False
        body = {**document.body, "sealed": seal.seal(opened.text, _row(document.key))}
        act = Act("server", "resealUserKey", document.owner, "", {"provider": document.body["provider"]})
        put = putting(PROVIDER_KEY, document.key, document.owner, body, expect=document.version)
        await self._directory.put(act, [put])
        return True

    def _secret(self, document: Document) -> Secret:
        """The key of a document. What is in memory is given only for the very same seal. Raises: NotFound if it is broken."""
        place = (document.owner, document.key)
        found = self._opened.get(place)
        if found is not None and found[0] == document.body["sealed"]:
            self._opened.move_to_end(place)
            return found[1]
        try:
            secret = Secret(self._open().open(document.body["sealed"], _row(document.key)).text)
        except SealBroken as broken:
            self._on_broken(str(broken))
            provider = document.body["provider"]
            raise NotFound(
                f"the kept key of {provider!r} cannot be opened any more; store it again with storeUserKey",
                reason="kept_key_broken",
                data={"provider": provider},
            ) from None
        self._opened[place] = (document.body["sealed"], secret)
        self._opened.move_to_end(place)
        while len(self._opened) > _OPENED_MAX:
            self._opened.popitem(last=False)
        return secret

    async def _write(
        self, seal: Seal, author: Author, action: str, user_id: str, kept: KeptKey, key: Secret, before: Document | None
    ) -> KeptKey:
        owner, name = f"user:{user_id}", f"{user_id}/{kept.provider}"
        body = {
            "keyId": kept.id,
            "provider": kept.provider,
            "sealed": seal.seal(key.reveal(), _row(name)),
            "preview": kept.preview,
            "isDefault": kept.is_default,
            "createdUs": kept.created_us,
            "rotatedUs": kept.rotated_us,
        }
        act = Act(author.actor, action, owner, author.reason, {"provider": kept.provider, "keyId": kept.id})
        expect = 0 if before is None else before.version
        done: tuple[Done, ...] = await self._directory.put(
            act, [putting(PROVIDER_KEY, name, owner, body, expect=expect)]
        )
        self._opened.pop((owner, name), None)
        return KeptKey(
            kept.id, kept.provider, kept.preview, kept.is_default, kept.created_us, kept.rotated_us, done[0].amount
        )

    async def _found(self, user_id: str, provider: str) -> Document | None:
        # The owner is compared: a slash in a name could make it another user's row.
        found = await self._directory.entry(PROVIDER_KEY, f"{user_id}/{provider}")
        return found if found is not None and found.owner == f"user:{user_id}" else None

    async def _get(self, user_id: str, provider: str) -> Document:
        document = await self._found(user_id, provider)
        if document is None:
            raise NotFound(
                f"no key of {provider!r} is kept for you; storeUserKey keeps one", data={"provider": provider}
            )
        return document

    def _open(self) -> Seal:
        if self._seal is None:
            raise KeysOff("this server keeps no provider keys; its operator sets keys.encryption_keys")
        return self._seal


def _document(profile: Profile, user_id: str, provider: str) -> Document | None:
    return profile.one(PROVIDER_KEY, f"{user_id}/{provider}")


def _kept(document: Document) -> KeptKey:
    body = document.body
    return KeptKey(
        body["keyId"], body["provider"], body["preview"], body["isDefault"], body["createdUs"], body.get("rotatedUs"),
        document.version,
    )  # fmt: skip


def _preview(key: Secret) -> str:
    text = key.reveal()
    return text[:_PREVIEW] if len(text) >= _LONG_ENOUGH else "***"


def _row(key: str) -> tuple[str, ...]:
    return (TENANT, PROVIDER_KEY, key)
