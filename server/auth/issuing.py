"""Making tokens of our own: for the demo, for tests, for operators who are their own issuer. Nothing is checked here."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any  # Any: claims are texts, numbers and lists

from joserfc import jwt

from server.auth.tokens import algorithm_of, private_key
from server.config_errors import OperatorError

if TYPE_CHECKING:
    from server.config import Settings


class IssueError(OperatorError):
    """No such token can be made; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a token names."""

    user: str
    tier: str
    organization: str | None = None
    roles: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


def issued(settings: "Settings", holder: Holder, *, expires_seconds: int, now: float) -> str:
    """A token signed by `auth.private_key`, with the claim names of the configuration. `now`: unix seconds.

    Raises: IssueError without a key, or for a user or tier that the server would refuse.
    """
    auth = settings.auth
    if auth.private_key is None:
        raise IssueError(
            "auth.private_key: is not set, so no token can be made; set it, or ask your issuer for a token"
        )
    if not holder.user.strip():
        raise IssueError("--user: is empty; name the user")
    known = _tier_names(settings)
    if holder.tier not in known:
        raise IssueError(f"--tier: there is no tier {holder.tier!r}; known: {', '.join(sorted(known))}")
    key = private_key(auth.private_key.get_secret_value())
    algorithm = algorithm_of(key)
    assert algorithm is not None, "the key was checked when the settings were loaded"
    begins = int(now)
    claims = {
        **_claims(settings, holder),
        "iss": auth.issuer,
        "aud": auth.audience,
        "sub": holder.user,
        "iat": begins,
        "exp": begins + expires_seconds,
    }
    return jwt.encode({"alg": algorithm}, claims, key, algorithms=[algorithm])


def _claims(settings: "Settings", holder: Holder) -> dict[str, Any]:
    names = settings.auth.claims
    claims: dict[str, Any] = {names.user: holder.user, names.tier: holder.tier}
    if holder.organization is not None:
        claims[names.organization] = holder.organization
    if holder.roles:
        claims[names.roles] = list(holder.roles)
    if holder.features:
        claims[names.features] = list(holder.features)
    return claims


def _tier_names(settings: "Settings") -> set[str]:
    from monetization.tiers import merged  # noqa: PLC0415  # only issuing looks at tiers

    said = {key: tier.said() for key, tier in settings.tiers.items()}
    tiers = merged(said, policy=settings.charging.policy)
    return {tier.key for tier in tiers} | {alias for tier in tiers for alias in tier.aliases}
