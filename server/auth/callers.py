"""From credential to Caller. It says who calls; what they may do is decided by the method and by entitlements."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, assert_never  # Any: claims come from an issuer and hold any JSON

from monetization.abuse import AbuseRules, Watch
from monetization.callers import Caller
from monetization.calls import Credential
from monetization.errors import Overloaded, Unauthenticated
from monetization.keys.minting import PREFIX
from monetization.roles import OrganizationRole

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from server.auth.gateway_keys import GatewayKeys
    from server.auth.tokens import Keys, TokenRules
    from server.config_sections import AuthSettings, ClaimNames

_CACHE_SECONDS_MAX: Final = 60.0
_CACHE_ENTRIES_MAX: Final = 10_000
_TEXT_LENGTH_MAX = 255
_LIST_LENGTH_MAX = 100
_ADMIN: Final[OrganizationRole] = "admin"
_MEMBER: Final = "member"
_NUMBER_MAX = 2**63 - 1


class Callers:
    """Identifies callers. Callers whose token was checked in the last minute are known without checking it again.

    The cache is keyed by the full SHA-256 of the token together with everything that the token was checked against, so no two
    tokens and no two configurations ever share an entry; an entry ends with its token.
    """

    def __init__(
        self,
        auth: "AuthSettings",
        *,
        keys: "Keys | None",
        default_tier: Callable[[], str],
        tier_of: Callable[[str], str | None],
        on_unknown_tier: Callable[[str], None],
        on_failure: Callable[[str], None],
        watch: Watch | None = None,
        gateway_keys: "GatewayKeys | None" = None,
        resources: tuple[str, ...] = (),
        clock: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._rules = _rules(auth, resources) if keys is not None else None
        self._reader = ClaimReader(
            auth.claims,
            default_tier=default_tier,
            tier_of=tier_of,
            on_unknown_tier=on_unknown_tier,
            is_authoritative=auth.authoritative,
            admin_reach=auth.admin_reach,
        )
        self._on_failure = on_failure
        self._watch = watch or Watch(AbuseRules(), clock_us=lambda: int(clock() * 1_000_000))
        self._gateway_keys = gateway_keys
        self._clock = clock
        checked_against = (auth.issuer, auth.audience, resources, auth.algorithms, auth.jwks_url)
        self._seed = hashlib.sha256(repr(checked_against).encode() + b"\0")
        self._cache: dict[bytes, tuple[float, Caller]] = {}

    @classmethod
    def of(
        cls,
        auth: "AuthSettings",
        *,
        session: "Callable[[], ClientSession]",
        default_tier: Callable[[], str],
        tier_of: Callable[[str], str | None],
        on_unknown_tier: Callable[[str], None],
        on_failure: Callable[[str], None],
        watch: Watch | None = None,
        on_key_fetch: Callable[[bool], None] = lambda _: None,
        gateway_keys: "GatewayKeys | None" = None,
        resources: tuple[str, ...] = (),
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> "Callers":
        """The callers of a configuration that was checked. `session` is asked only where keys come from a URL.

        `clock` gives unix seconds and judges tokens; `monotonic` gives seconds and ages key sets. `watch` counts
        credentials that do not hold. None for `gateway_keys`: this server issues none. `resources`: addresses of ours that
        tokens may be bound to, besides the configured audience.
        """
        return cls(
            auth,
            keys=_keys(auth, session, on_key_fetch, monotonic),
            default_tier=default_tier,
            tier_of=tier_of,
            on_unknown_tier=on_unknown_tier,
            on_failure=on_failure,
            watch=watch,
            gateway_keys=gateway_keys,
            resources=resources,
            clock=clock,
        )

    async def aclose(self) -> None:
        """End what fetching of keys is under way."""
        if self._keys is not None:
            await self._keys.aclose()

    async def identify(self, credential: Credential) -> Caller:
        """Who shows this credential.

        Raises: Unauthenticated, saying what to do next; RateLimited from a blocked address; Overloaded when keys cannot be had.
        """
        match credential.kind:
            case "bearer":
                shown = credential.value
                if shown.startswith(PREFIX):
                    return await self._by_key(credential)
                return self.known(shown) or await self._check(credential)
            case "none":
                self._watch.check_address(credential.address)
                return Caller(kind="anonymous", address=credential.address)
            case "operator":
                # No operator credential is configured anywhere yet, so nobody holds one.
                raise self._counted(
                    Unauthenticated("this server takes no operator key; send a bearer token", reason="operator_off"),
                    credential,
                )
            case _:
                assert_never(credential.kind)

    def known(self, token: str) -> Caller | None:
        """The caller of a token that was checked a moment ago and has not expired; None when it must be checked."""
        entry = self._cache.get(self._digest(token))
        return entry[1] if entry is not None and self._clock() < entry[0] else None

    def forget(self) -> None:
        """Check every credential anew from now on: what tier names mean has changed."""
        self._cache.clear()
        if self._gateway_keys is not None:
            self._gateway_keys.forget()

    def _digest(self, token: str) -> bytes:
        digest = self._seed.copy()
        digest.update(token.encode("utf-8", "surrogatepass"))
        return digest.digest()

    async def _by_key(self, credential: Credential) -> Caller:
        if self._gateway_keys is None:
            raise self._counted(
                Unauthenticated("this server takes no gateway keys; send a bearer token", reason="keys_off"), credential
            )
        known = self._gateway_keys.known(credential.value)
        if known is not None:
            return known
        self._watch.check_address(credential.address)
        try:
            caller = await self._gateway_keys.identify(credential.value)
        except Unauthenticated as refusal:
            raise self._counted(refusal, credential) from None
        self._watch.succeeded(credential.address)
        return caller

    async def _check(self, credential: Credential) -> Caller:
        token = credential.value
        self._watch.check_address(credential.address)
        try:
            claims = await self._claims(token)
            caller = self._reader.caller(claims)
        except (Unauthenticated, Overloaded) as refusal:
            raise self._counted(refusal, credential) from None
        self._watch.succeeded(credential.address)
        self._remember(token, caller, expires=claims["exp"])
        return caller

    async def _claims(self, token: str) -> dict[str, Any]:
        if self._keys is None or self._rules is None:
            raise Unauthenticated(
                "this server takes no tokens; call without one, with your own provider key", reason="tokens_off"
            )
        from server.auth.tokens import verified  # noqa: PLC0415  # a server without tokens loads no cryptography

        return await verified(token, keys=self._keys, rules=self._rules, now=self._clock())

    def _remember(self, token: str, caller: Caller, *, expires: float) -> None:
        now = self._clock()
        until = min(expires, now + _CACHE_SECONDS_MAX)
        if until <= now:
            return  # inside the clock tolerance: checked anew each time
        digest = self._digest(token)
        self._cache.pop(digest, None)
        while len(self._cache) >= _CACHE_ENTRIES_MAX:
            del self._cache[next(iter(self._cache))]  # the oldest: dictionaries keep their order
        self._cache[digest] = (until, caller)

    def _counted(self, refusal: Unauthenticated | Overloaded, credential: Credential) -> Unauthenticated | Overloaded:
        self._on_failure(refusal.slug)
        if isinstance(refusal, Unauthenticated):
            self._watch.failed(credential.address, credential.value, refusal.slug)
        return refusal


def _rules(auth: "AuthSettings", resources: tuple[str, ...]) -> "TokenRules":
    from server.auth.tokens import TokenRules  # noqa: PLC0415  # a server without tokens loads no cryptography

    return TokenRules.of(auth, resources)


def _keys(
    auth: "AuthSettings",
    session: "Callable[[], ClientSession]",
    on_fetch: Callable[[bool], None],
    monotonic: Callable[[], float],
) -> "Keys | None":
    if not auth.has_key:
        return None
    from server.auth.tokens import OneKey, configured_key  # noqa: PLC0415  # same

    if auth.jwks_url is None:
        key = configured_key(auth)
        return OneKey(key) if key is not None else None
    from server.auth.jwks import JwksKeys, JwksLimits  # noqa: PLC0415  # only here is an HTTP client needed

    limits = JwksLimits(
        refresh_seconds=auth.jwks_refresh_seconds,
        refetch_seconds=auth.jwks_refetch_seconds,
        stale_seconds=auth.jwks_stale_seconds,
    )
    return JwksKeys(auth.jwks_url, session=session(), monotonic=monotonic, limits=limits, on_fetch=on_fetch)


class ClaimReader:
    """Makes a Caller of checked claims: names by configuration, types by rule."""

    def __init__(
        self,
        names: "ClaimNames",
        *,
        default_tier: Callable[[], str],
        tier_of: Callable[[str], str | None],
        on_unknown_tier: Callable[[str], None],
        is_authoritative: bool,
        admin_reach: Literal["installation", "organization"],
    ) -> None:
        self._names = names
        self._default_tier = default_tier
        self._tier_of = tier_of
        self._on_unknown_tier = on_unknown_tier
        self._is_authoritative = is_authoritative
        self._admin_reach = admin_reach

    def caller(self, claims: dict[str, Any]) -> Caller:
        """Raises: Unauthenticated, naming the claim that is wrong."""
        names = self._names
        user = _text(claims, names.user) or _text(claims, "sub")
        if user is None:
            raise _refusal(names.user, "is missing")
        role = _text(claims, names.role)
        roles = _texts(claims, names.roles) | ({role} if role is not None else set())
        organization = _text(claims, names.organization)
        inside: OrganizationRole | None = None
        if self._admin_reach == "organization" and _ADMIN in roles:
            roles, inside = roles - {_ADMIN} | {_MEMBER}, None if organization is None else _ADMIN
        numbers = {
            "monthly_token_quota": _number(claims, names.monthly_token_quota),
            "rpm": _number(claims, names.rpm),
            "tpm": _number(claims, names.tpm),
        }
        return Caller(
            kind="subscription",
            user_id=user,
            organization_id=organization,
            organization_role=inside,
            email=_text(claims, names.email),
            tier=self._tier(_text(claims, names.tier)),
            roles=roles,
            features=_texts(claims, names.features),
            limits={name: number for name, number in numbers.items() if number is not None},
            is_authoritative=self._is_authoritative,
        )

    def _tier(self, said: str | None) -> str:
        if said is None:
            return self._default_tier()
        tier = self._tier_of(said)
        if tier is None:
            self._on_unknown_tier(said)
            return self._default_tier()
        return tier


def _text(claims: dict[str, Any], name: str) -> str | None:
    """A claim that is text or absent (null and empty count as absent). Raises: Unauthenticated."""
    value = claims.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _TEXT_LENGTH_MAX or not value.isprintable():
        raise _refusal(name, f"must be text of at most {_TEXT_LENGTH_MAX} printable characters")
    return value


def _number(claims: dict[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _NUMBER_MAX:
        raise _refusal(name, "must be a whole number that is not negative")
    return value


def _texts(claims: dict[str, Any], name: str) -> frozenset[str]:
    values = claims.get(name)
    if values is None:
        return frozenset()
    if not isinstance(values, list) or len(values) > _LIST_LENGTH_MAX:
        raise _refusal(name, f"must be a list of at most {_LIST_LENGTH_MAX} texts")
    if any(not isinstance(value, str) or len(value) > _TEXT_LENGTH_MAX for value in values):
        raise _refusal(name, f"must hold only texts of at most {_TEXT_LENGTH_MAX} characters")
    return frozenset(values)


def _refusal(claim: str, problem: str) -> Unauthenticated:
    return Unauthenticated(
        f"the token's claim {claim!r} {problem}; ask its issuer to correct it", reason="invalid_claim"
    )
