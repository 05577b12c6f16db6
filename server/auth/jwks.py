"""Keys from an issuer's URL (RFC 7517): fetched, kept, rotated. No token is looked at here.

A flood of unknown key ids causes no flood of requests: at most one is in flight, and at most one starts in `refetch_seconds`.
While the URL fails, the last good keys serve on for `stale_seconds`.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any  # Any: a key set is its publisher's JSON

from aiohttp import ClientError, ClientTimeout
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from monetization.errors import Overloaded
from server.auth.tokens import algorithm_of, imported, modern, unknown_key
from server.config_checks import is_safe_address

if TYPE_CHECKING:
    from aiohttp import ClientSession

_KINDS: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
# "oct" is missing on purpose: a secret that is published is none.


@dataclass(frozen=True, slots=True)
class JwksLimits:
    """How often and how much is fetched."""

    refresh_seconds: float = 300.0
    """Age at which keys in use are fetched again, in the background."""
    refetch_seconds: float = 10.0
    """Least time between the starts of two fetches."""
    stale_seconds: float = 86_400.0
    """Age at which keys that could not be renewed are dropped."""
    timeout_seconds: float = 5.0
    bytes_max: int = 262_144
    keys_max: int = 100


class BadKeySet(Exception):
    """The URL answered with something that is no set of usable keys."""


class JwksKeys:
    """The keys of one URL. Close it: a fetch may be under way."""

    def __init__(
        self,
        url: str,
        *,
        session: "ClientSession",
        monotonic: Callable[[], float],
        limits: JwksLimits | None = None,
        on_fetch: Callable[[bool], None] = lambda _: None,
    ) -> None:
        assert is_safe_address(url), "the configuration lets only https and this machine through"
        self._url = url
        self._session = session
        self._monotonic = monotonic
        self._limits = limits or JwksLimits()
        self._on_fetch = on_fetch
        self._keys: tuple[tuple[str | None, str, Key], ...] = ()
        self._fetched = float("-inf")
        self._started = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> Key:
        """The key for a token's header. Raises: Unauthenticated for an unknown one, Overloaded when no keys can be had now."""
        key = self._known(key_id, algorithm)
        if key is not None:
            if self._age() >= self._limits.refresh_seconds:
                self._start()  # the callers of today need not wait for the keys of tomorrow
            return key
        await self._fetch()
        key = self._known(key_id, algorithm)
        if key is not None:
            return key
        if not self._keys:
            wait = max(1.0, self._limits.refetch_seconds - (self._monotonic() - self._started))
            raise Overloaded(
                "tokens cannot be checked at the moment; repeat the call later",
                reason="keys_unavailable",
                retry_after_seconds=wait,
            )
        raise unknown_key()

    async def aclose(self) -> None:
        """End a fetch that is under way."""
        task, self._fetching = self._fetching, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _age(self) -> float:
        return self._monotonic() - self._fetched

    def _known(self, key_id: str | None, algorithm: str) -> Key | None:
        if self._age() >= self._limits.stale_seconds:
            self._keys = ()
        fitting = [key for name, use, key in self._keys if use == algorithm and (key_id is None or name == key_id)]
        # Without a key id the choice must be clear; trying keys one after another would cost a flood of checks.
        return fitting[0] if fitting and (key_id is not None or len(fitting) == 1) else None

    def _start(self) -> None:
        """Begin a fetch, unless one runs or the last one began a moment ago."""
        now = self._monotonic()
        if self._fetching is None and now - self._started >= self._limits.refetch_seconds:
            self._started = now
            self._fetching = asyncio.create_task(self._renew())

    async def _fetch(self) -> None:
        self._start()
        if self._fetching is not None:
            # Shielded: the fetch belongs to everybody who waits, and the first to leave must not end it.
            await asyncio.shield(self._fetching)

    async def _renew(self) -> None:
        try:
            self._keys = await self._read()
            self._fetched = self._monotonic()
        except (ClientError, TimeoutError, OSError, BadKeySet):
            self._on_fetch(False)  # noqa: FBT003  # a callback of one flag
        else:
            self._on_fetch(True)  # noqa: FBT003  # same
        finally:
            self._fetching = None

    async def _read(self) -> tuple[tuple[str | None, str, Key], ...]:
        timeout = ClientTimeout(total=self._limits.timeout_seconds)
        # A redirect could lead anywhere, also to plain http.
        async with self._session.get(self._url, timeout=timeout, allow_redirects=False) as reply:
            if reply.status != 200:  # noqa: PLR2004  # anything else is no key set
                raise BadKeySet
            body = bytearray()
            async for chunk in reply.content.iter_any():
                body += chunk
                if len(body) > self._limits.bytes_max:
                    raise BadKeySet
        return usable_keys(bytes(body), keys_max=self._limits.keys_max)


def usable_keys(body: bytes, *, keys_max: int) -> tuple[tuple[str | None, str, Key], ...]:
    """Key id, algorithm and key of everything in a JWK set that can check signatures. Raises: BadKeySet when that is nothing."""
    try:
        members = json.loads(body)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadKeySet from None
    if not isinstance(members, list) or len(members) > keys_max:
        raise BadKeySet
    usable = tuple(found for member in members if (found := _usable(member)) is not None)
    if not usable:
        raise BadKeySet
    return usable


def _usable(member: Any) -> tuple[str | None, str, Key] | None:
    """RFC 7517, section 5: keys that are not understood are left out, not fatal."""
    if not isinstance(member, dict) or member.get("use", "sig") != "sig" or "d" in member:
        return None
    kind = _KINDS.get(str(member.get("kty")))
    if kind is None:
        return None
    key = imported(kind, member)
    if key is None:
        return None
    algorithm, said = algorithm_of(key), member.get("alg")
    if algorithm is None or (said is not None and modern(str(said)) != algorithm):
        return None
    key_id = member.get("kid")
    return (key_id if isinstance(key_id, str) else None, algorithm, key)
