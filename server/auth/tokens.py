"""JSON Web Tokens: the keys that check them, and the one way to check them. No caller and no cache here.

Every key has exactly one list of algorithms that fits its type, so an RSA key can never be used as an HMAC secret. No header of a
token chooses a key's source: `jku`, `x5u` and `jwk` are ignored, `crit` is refused because no extension is understood.
"""

import json
import warnings
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol  # Any: what a token or key holds is its maker's JSON

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError, SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from monetization.errors import Unauthenticated

if TYPE_CHECKING:
    from joserfc._rfc7515.model import JWSAlgModel

    from server.config_sections import AuthSettings

TOKEN_BYTES_MAX: Final = 16_384
_HEADER_BYTES_MAX = 4_096
_KEY_ID_LENGTH_MAX = 256
_RSA_BITS_MIN = 2_048  # RFC 7518, section 3.3
_TYPES = frozenset({"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_SIGN_IN = "sign in again and send the new token"


class KeyProblem(Exception):
    """A configured key that cannot be used: which setting, and what to do."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class Keys(Protocol):
    """Where the key of a token comes from."""

    async def find(self, key_id: str | None, algorithm: str) -> Key:
        """The key that may check a token of this header. Raises: Unauthenticated; Overloaded when no keys can be had now."""
        ...

    async def aclose(self) -> None:
        """Let go of what was opened."""
        ...


def modern(algorithm: str) -> str:
    """RFC 9864 replaces the name EdDSA by the name of the curve; old tokens still say EdDSA."""
    return "Ed25519" if algorithm == "EdDSA" else algorithm


def algorithm_of(key: Key) -> str | None:
    """The one algorithm that a key may be used with; None for a key that nothing here uses."""
    if isinstance(key, RSAKey):
        return "RS256" if key.raw_value.key_size >= _RSA_BITS_MIN else None
    if isinstance(key, ECKey):
        return "ES256" if key.curve_name == "P-256" else None
    if isinstance(key, OKPKey):
        return "Ed25519" if key.curve_name == "Ed25519" else None
    return "HS256"


def unknown_key() -> Unauthenticated:
    """The refusal of a token that no key can check."""
    return Unauthenticated(
        f"the token is signed by a key that this server does not know; {_SIGN_IN}", reason="unknown_key"
    )


class OneKey:
    """A single key from the configuration; a token's key id is not looked at."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._algorithm = algorithm_of(key)

    async def find(self, key_id: str | None, algorithm: str) -> Key:
        """Raises: Unauthenticated for an algorithm that the key is not for."""
        del key_id
        if algorithm != self._algorithm:
            raise unknown_key()
        return self._key

    async def aclose(self) -> None:
        """Nothing was opened."""


class _Registry(JWSRegistry):
    """The library's registry with the old name of Ed25519 and room for long headers."""

    max_header_length = _HEADER_BYTES_MAX
    max_payload_length = TOKEN_BYTES_MAX

    def get_alg(self, name: str) -> "JWSAlgModel":
        return super().get_alg(modern(name))


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What every token must satisfy."""

    issuer: str
    audiences: tuple[str, ...]
    """A token must name one of them."""
    algorithms: frozenset[str]
    """Modern names."""
    tolerance_seconds: int

    @classmethod
    def of(cls, auth: "AuthSettings", resources: tuple[str, ...] = ()) -> "TokenRules":
        """The rules that the configuration says. `resources`: addresses of ours that tokens may be bound to (RFC 8707)."""
        algorithms = frozenset(map(modern, auth.algorithms))
        return cls(auth.issuer, (auth.audience, *resources), algorithms, auth.clock_tolerance_seconds)


async def verified(token: str, *, keys: Keys, rules: TokenRules, now: float) -> dict[str, Any]:
    """The claims of a token that holds at `now` (unix seconds). Raises: Unauthenticated, with what to do next; Overloaded."""
    header = _header(token)
    algorithm = modern(header["alg"])
    if algorithm not in rules.algorithms:
        raise Unauthenticated(
            f"the token's algorithm is not accepted here; {_SIGN_IN}", reason="algorithm_not_accepted"
        )
    key = await keys.find(header.get("kid"), algorithm)
    try:
        registry = _Registry(algorithms=[algorithm], strict_check_header=False)
        claims = jwt.decode(token, key, registry=registry).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        # One answer for every way a signature can be wrong: a forger learns nothing.
        raise Unauthenticated(f"the token's signature does not hold; {_SIGN_IN}", reason="bad_signature") from None
    _check_claims(claims, rules, now)
    return claims


def _header(token: str) -> dict[str, Any]:
    """The header, before anything is believed."""
    if len(token) > TOKEN_BYTES_MAX:
        raise Unauthenticated(
            f"the token is longer than {TOKEN_BYTES_MAX} bytes; ask its issuer for a smaller one",
            reason="token_too_large",
        )
    header = _parsed_header(token)
    if header is None or not isinstance(header.get("alg"), str):
        raise _malformed()
    key_id, kind = header.get("kid"), header.get("typ", "")
    if not (key_id is None or (isinstance(key_id, str) and 0 < len(key_id) <= _KEY_ID_LENGTH_MAX)):
        raise _malformed()
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Unauthenticated("this kind of token does not open this server; send an access token", reason="wrong_type")
    if "crit" in header or "b64" in header:
        # RFC 7515, section 4.1.11: a critical extension that is not understood makes the token invalid.
        raise Unauthenticated(
            "the token demands an extension that this server does not know; ask its issuer for a plain one",
            reason="unknown_extension",
        )
    return header


def _parsed_header(token: str) -> dict[str, Any] | None:
    """The JSON object before the first dot of three parts (RFC 7515, section 3.1); None where there is none."""
    segment = token.partition(".")[0]
    if token.count(".") != 2 or not token.isascii() or len(segment) > _HEADER_BYTES_MAX:  # noqa: PLR2004  # three parts, two dots
        return None
    try:
        header = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None


def _malformed() -> Unauthenticated:
    return Unauthenticated(
        "the credential is not a JSON Web Token; send 'Authorization: Bearer <token>'", reason="malformed_token"
    )


def _check_claims(claims: dict[str, Any], rules: TokenRules, now: float) -> None:
    registry = jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=rules.tolerance_seconds,
        exp={"essential": True},
        iss={"essential": True, "value": rules.issuer},
        aud={"essential": True, "values": list(rules.audiences)},
    )
    try:
        registry.validate(claims)
    except ExpiredTokenError:
        raise Unauthenticated(f"the token has expired; {_SIGN_IN}", reason="token_expired") from None
    except MissingClaimError as missing:
        names = missing.description.partition("'")[2].rstrip("'")
        raise Unauthenticated(
            f"the token lacks the claim {names!r}; ask its issuer to add it", reason="missing_claim"
        ) from None
    except InvalidClaimError as wrong:
        raise _claim_refusal(wrong.claim) from None


def _claim_refusal(claim: str) -> Unauthenticated:
    match claim:
        case "iss":
            return Unauthenticated(f"the token comes from another issuer; {_SIGN_IN}", reason="wrong_issuer")
        case "aud":
            return Unauthenticated(f"the token is meant for another service; {_SIGN_IN}", reason="wrong_audience")
        case "nbf" | "iat":
            return Unauthenticated(
                "the token is not valid yet; repeat later, or check the clocks", reason="not_yet_valid"
            )
        case _:
            return Unauthenticated(
                f"the token's claim {claim!r} has no sensible value; {_SIGN_IN}", reason="invalid_claim"
            )


def public_key(pem: str) -> Key:
    """The key of a public PEM. Raises: ValueError with what to do."""
    if "PRIVATE KEY" in pem:
        raise ValueError("holds a private key; give its public half (openssl pkey -pubout)")
    return _imported(pem)


def private_key(pem: str) -> Key:
    """The key of a private PEM. Raises: ValueError with what to do."""
    key = _imported(pem) if "PRIVATE KEY" in pem else None
    if key is None or not key.is_private:
        raise ValueError("holds no private key; give an unencrypted PEM")
    return key


def _imported(pem: str) -> Key:
    found = next((key for kind in (RSAKey, ECKey, OKPKey) if (key := imported(kind, pem)) is not None), None)
    if found is None:
        raise ValueError("is no usable PEM; give an RSA key of 2048 bits or more, a P-256 or an Ed25519 key")
    return found


def imported(kind: type[RSAKey | ECKey | OKPKey], material: str | dict[str, Any]) -> Key | None:
    """The key in a PEM or JWK; None for what is no such key, or a key that is too weak."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # a weak key is refused here, not warned of
            key = kind.import_key(material)
            return key if algorithm_of(key) is not None else None
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None


def check_keys(auth: "AuthSettings") -> None:
    """Every configured key can be read, fits the algorithms and its other half. Raises: KeyProblem."""
    algorithms = set(map(modern, auth.algorithms))
    public = _checked("public_key", auth.public_key.get_secret_value(), public_key) if auth.public_key else None
    private = _checked("private_key", auth.private_key.get_secret_value(), private_key) if auth.private_key else None
    single = public or (private if auth.jwks_url is None and auth.secret is None else None)
    if single is not None and algorithms != {algorithm_of(single)}:
        raise KeyProblem("algorithms", f'does not fit the key; set algorithms = ["{algorithm_of(single)}"]')
    if private is not None and public is not None and private.as_dict(private=False) != public.as_dict(private=False):
        raise KeyProblem("private_key", "does not belong to public_key; give both halves of one key")
    if private is not None and algorithm_of(private) not in algorithms:
        raise KeyProblem("private_key", "is for an algorithm that auth.algorithms does not list; list it")


def _checked(name: str, pem: str, reader: Any) -> Key:
    try:
        key: Key = reader(pem)
    except ValueError as wrong:
        raise KeyProblem(name, str(wrong)) from None
    return key


def configured_key(auth: "AuthSettings") -> Key | None:
    """The single key that the configuration holds; None where keys come from a URL, or there are none."""
    if auth.public_key is not None:
        return public_key(auth.public_key.get_secret_value())
    if auth.secret is not None:
        return OctKey.import_key(auth.secret.get_secret_value())
    if auth.jwks_url is None and auth.private_key is not None:
        return private_key(auth.private_key.get_secret_value())
    return None
