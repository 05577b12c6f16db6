"""From a gateway key to its Caller: a dictionary look-up while nothing has changed, never an old answer after a change.

What was found of a key is kept beside the stamp of the profile that it was found in. A change evicts the profile, here at once
and in every other process at its next poll, and without the same profile in memory the key is looked at anew. While changes
cannot be heard of, every use asks the database.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from monetization.callers import Caller
from monetization.directory import Directory
from monetization.errors import Unauthenticated
from monetization.keys.minting import Mint, is_same_hash
from monetization.keys.records import API_KEY, KeyRecord, owner_of, record_of
from monetization.roles import TELLERS, TELLING
from storage.records.fact import fact

_ENTRIES_MAX: Final = 10_000
_KEY_LENGTH_MAX: Final = 128


@fact
class _Held:
    """What was found of a key that was shown."""

    caller: Caller
    owner: str
    stamp: int
    """Of the profile in which it was found."""
    until_us: int
    """From when on this secret is not accepted any more."""


class GatewayKeys:
    """Identifies the holders of gateway keys."""

    def __init__(
        self,
        mint: Mint,
        directory: Directory,
        *,
        default_tier: Callable[[], str],
        tier_of: Callable[[str], str | None],
        clock_us: Callable[[], int],
    ) -> None:
        self._mint = mint
        self._directory = directory
        self._default_tier = default_tier
        self._tier_of = tier_of
        self._clock_us = clock_us
        self._held: dict[bytes, _Held] = {}

    async def identify(self, shown: str) -> Caller:
        """Who shows this key. Raises: Unauthenticated, saying what to do next; StorageUnavailable."""
        return self.known(shown) or await self._look(shown, _digest(shown))

    def known(self, shown: str) -> Caller | None:
        """Who shows a key that was looked at before and has not changed; None when it must be looked at."""
        held, directory = self._held.get(_digest(shown)), self._directory
        if held is not None and directory.is_current:
            profile = directory.known(held.owner)
            if profile is not None and profile.stamp == held.stamp and self._clock_us() < held.until_us:
                return held.caller
        return None

    def forget(self) -> None:
        """Look at every key anew from now on: what tier names mean has changed."""
        self._held.clear()

    async def _look(self, shown: str, digest: bytes) -> Caller:
        self._held.pop(digest, None)
        key_id = self._mint.id_of(shown) if len(shown) <= _KEY_LENGTH_MAX else None
        if key_id is None:  # nobody is asked about a key that was not made here
            raise _unknown()
        owner, directory = owner_of(key_id), self._directory
        profile = await (directory.of(owner) if directory.is_current else directory.fresh(owner))
        document = profile.one(API_KEY, key_id)
        if document is None:
            raise _unknown()
        record = record_of(document)
        shown_hash = self._mint.hash_of(shown)
        until = self._accepted_until(record, shown_hash)
        caller = self._caller(record, is_replaced=not is_same_hash(shown_hash, record.hash))
        while len(self._held) >= _ENTRIES_MAX:
            del self._held[next(iter(self._held))]  # the oldest: dictionaries keep their order
        self._held[digest] = _Held(caller, owner, profile.stamp, until)
        return caller

    def _accepted_until(self, record: KeyRecord, digest: str) -> int:
        """Until when the secret of this hash opens; it does now. Raises: Unauthenticated."""
        now = self._clock_us()
        is_newest = is_same_hash(digest, record.hash)
        is_previous = record.previous_hash is not None and is_same_hash(digest, record.previous_hash)
        if not is_newest and not is_previous:
            raise _unknown()
        if record.revoked_us is not None:
            raise Unauthenticated("this key was revoked; use another one", reason="key_revoked")
        if now >= record.terms.expires_us:
            raise Unauthenticated("this key has expired; make a new one", reason="key_expired")
        if is_newest:
            return record.terms.expires_us
        if now >= record.previous_until_us:
            raise Unauthenticated("this key was rotated; use its new secret", reason="key_rotated")
        return min(record.terms.expires_us, record.previous_until_us)

    def _caller(self, record: KeyRecord, *, is_replaced: bool) -> Caller:
        holder, terms = record.holder, record.terms
        tier = self._tier_of(holder.tier) if holder.tier is not None else None
        return Caller(
            kind="subscription",
            user_id=holder.user_id,
            organization_id=holder.organization_id,
            email=holder.email,
            tier=tier or self._default_tier(),
            roles=TELLERS if TELLING in (terms.scopes or ()) else frozenset(),
            features=frozenset(holder.features),
            key_id=record.id,
            is_replaced=is_replaced,
            scopes=None if terms.scopes is None else frozenset(terms.scopes),
            models=frozenset(terms.models),
            budgets=terms.budgets,
            own_limits={"key": dict(terms.limits)} if terms.limits else {},
        )


def _digest(shown: str) -> bytes:
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).digest()


def _unknown() -> Unauthenticated:
    # One answer for every way a key can be wrong: whoever guesses learns nothing.
    return Unauthenticated("this key opens nothing here; check it, or make a new one", reason="unknown_key")
