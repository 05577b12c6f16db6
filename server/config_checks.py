"""Contradictions between settings that are each right on their own. Pure: nothing is opened and nobody is asked."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

if TYPE_CHECKING:
    from monetization.tiers import Tiers
    from server.config import Settings
    from server.config_sections import AuthSettings

Problem = tuple[str, str]
"""The key, and what is wrong with it and what to do."""

HMAC_BYTES_MIN = 32  # RFC 7518, section 3.2: a key of at least the size of the hash output
_DEFAULTS = (
    "changeme",
    "change-me",
    "change_me",
    "change-in",
    "change_in",
    "your-",
    "your_",
    "placeholder",
    "password",
)
_DISTINCT_MIN = 8
_ONLY_OPENAI = ("max_tokens_field", "asks_stream_usage", "sends_reasoning", "speaks_responses")


def first_contradiction(settings: "Settings") -> Problem | None:
    """The first thing that cannot be, or None."""
    checks = (_server, _auth, _mcp, _providers, _routing, _charging, _tiers, _secrets, _addresses)
    return next((problem for check in checks for problem in check(settings)), None)


def _server(settings: "Settings") -> Iterator[Problem]:
    if settings.server.workers > 1 and settings.storage.is_sqlite:
        yield "server.workers", "more than 1 needs PostgreSQL; set storage.url to postgresql://… or workers to 1"
    host = settings.server.host
    if not (_is_network(host) or _is_http(f"http://{host}")):
        yield "server.host", "must be a name or an IP address"
    if not _is_http(settings.server.public_url):
        yield "server.public_url", "must be an http:// or https:// address"
    for origin in settings.server.cors_origins:
        if origin != "*" and not (_is_http(origin) and origin.count("/") == 2):  # noqa: PLR2004  # scheme://host
            # RFC 6454, section 7.1: a browser sends no path, so an origin with one never matches.
            yield "server.cors_origins", f'{origin!r} is no origin; write it as "https://app.example.com"'
    for address in settings.server.trusted_proxies:
        if address != "*" and not _is_network(address):
            yield "server.trusted_proxies", f"{address!r} is no IP address or network; correct it"


def _auth(settings: "Settings") -> Iterator[Problem]:
    auth = settings.auth
    given = [name for name in ("public_key", "jwks_url", "secret") if getattr(auth, name) is not None]
    if len(given) > 1:
        yield f"auth.{given[1]}", f"auth.{given[0]} is set too; keep one of public_key, jwks_url and secret"
    if not auth.has_key:
        if auth.require_auth:
            yield "auth.require_auth", "nobody could sign in; set public_key, jwks_url or secret"
        for name in ("issuer", "audience"):
            if getattr(auth, name):
                yield f"auth.{name}", "is for tokens, and no key checks them; set public_key, jwks_url or secret too"
        return
    for name in ("issuer", "audience"):
        if not getattr(auth, name):
            yield f"auth.{name}", "is required where a key is configured; give the value that tokens carry"
    yield from _algorithms(auth)
    yield from _keys(auth)


def _mcp(settings: "Settings") -> Iterator[Problem]:
    if settings.mcp.enabled and not settings.auth.has_key and settings.keys.secret is None:
        yield "mcp.enabled", "nobody could sign in; set public_key, jwks_url or secret in [auth], or keys.secret"


def _algorithms(auth: "AuthSettings") -> Iterator[Problem]:
    if auth.secret is None and "HS256" in auth.algorithms:
        yield "auth.algorithms", "HS256 needs auth.secret and nothing else; remove HS256 or give the secret"
    if auth.secret is not None and set(auth.algorithms) != {"HS256"}:
        yield "auth.secret", 'is only for HS256; set algorithms = ["HS256"], or give public_key or jwks_url instead'
    if auth.secret is not None:
        value = auth.secret.get_secret_value()
        if len(value.encode()) < HMAC_BYTES_MIN:
            yield "auth.secret", f"is shorter than {HMAC_BYTES_MIN} bytes; make one with: openssl rand -base64 48"
        if _is_default(value) or "-----BEGIN" in value:
            yield "auth.secret", "looks like a default or a key file; make one with: openssl rand -base64 48"


def _keys(auth: "AuthSettings") -> Iterator[Problem]:
    if auth.jwks_url is not None and not is_safe_address(auth.jwks_url):
        yield "auth.jwks_url", "must be https:// (http:// only on this machine); correct the address"
    if auth.jwks_stale_seconds < auth.jwks_refresh_seconds:
        yield "auth.jwks_stale_seconds", "must not be shorter than auth.jwks_refresh_seconds"
    # The cryptography is loaded only where there is a key to look at.
    from server.auth.tokens import KeyProblem, check_keys  # noqa: PLC0415  # see above

    try:
        check_keys(auth)
    except KeyProblem as wrong:
        yield f"auth.{wrong.key}", wrong.problem


def _providers(settings: "Settings") -> Iterator[Problem]:
    for name, provider in settings.providers.items():
        url = provider.base_url
        if provider.kind != "openai":
            for key in _ONLY_OPENAI:
                if key in provider.model_fields_set:
                    yield f"providers.{name}.{key}", 'is only for kind = "openai"; remove it'
        if provider.kind == "simulator":
            if url:
                yield f"providers.{name}.base_url", "a simulator has no address; remove it, or name another kind"
        elif not _is_http(url) or any(sign in url for sign in "@?#"):
            yield (
                f"providers.{name}.base_url",
                "must be an http:// or https:// address without user, password and query",
            )
        if provider.first_byte_timeout_seconds > provider.timeout_seconds:
            said = provider.model_fields_set
            key = "first_byte_timeout_seconds" if "first_byte_timeout_seconds" in said else "timeout_seconds"
            yield f"providers.{name}.{key}", "first_byte_timeout_seconds must not be longer than timeout_seconds"


def _charging(settings: "Settings") -> Iterator[Problem]:
    charging = settings.charging
    greatest = charging.platform_fee_max_usd
    if greatest is not None and greatest < charging.platform_fee_min_usd:
        yield "charging.platform_fee_max_usd", "must not be less than charging.platform_fee_min_usd"


def _routing(settings: "Settings") -> Iterator[Problem]:
    from server.config_routing import contradictions  # noqa: PLC0415  # it is made of sections, which this module is not

    try:
        tiers = tiers_from(settings)
    except ValueError:
        tiers = None
    yield from contradictions(settings, tiers)


def tiers_from(settings: "Settings") -> "Tiers":
    """The tiers that a configuration comes to. Raises: ValueError, beginning with the key that is wrong."""
    from monetization.tiers import Tiers, merged  # noqa: PLC0415  # keeps this module's import free of commerce

    said = {key: tier.said() for key, tier in settings.tiers.items()}
    charging = settings.charging
    return Tiers(merged(said, policy=charging.policy), default=charging.default_tier, order=charging.tier_order)


def _tiers(settings: "Settings") -> Iterator[Problem]:
    try:
        tiers_from(settings)
    except ValueError as wrong:
        key, _, problem = str(wrong).partition(": ")
        yield key, problem


def _secrets(settings: "Settings") -> Iterator[Problem]:
    secrets: dict[str, SecretStr | None] = {
        f"providers.{name}.api_key": provider.api_key for name, provider in settings.providers.items()
    }
    secrets["keys.secret"] = settings.keys.secret
    secrets["server.metrics_token"] = settings.server.metrics_token
    sealing = [key.get_secret_value().strip() for key in settings.keys.encryption_keys]
    if len(set(sealing)) != len(sealing):
        yield "keys.encryption_keys", "names one key twice; keep it once"
    secrets["payments.stripe.webhook_secret"] = settings.payments.stripe.webhook_secret
    for key, secret in secrets.items():
        if secret is not None and any(word in secret.get_secret_value().lower() for word in _DEFAULTS):
            yield key, "looks like a placeholder; give the real secret, best as env:NAME"


def _addresses(settings: "Settings") -> Iterator[Problem]:
    addresses = {
        "urls.upgrade": settings.urls.upgrade,
        "urls.billing": settings.urls.billing,
        "webhooks.url": settings.webhooks.url,
    }
    for key, url in addresses.items():
        if url and not _is_http(url):
            yield key, "must be an http:// or https:// address, or empty"


def _is_default(secret: str) -> bool:
    return any(word in secret.lower() for word in _DEFAULTS) or len(set(secret)) < _DISTINCT_MIN


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_written_well = url.isprintable() and " " not in url
        return is_written_well and parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != -1
    except ValueError:
        return False


def _is_network(address: str) -> bool:
    try:
        return bool(ip_network(address, strict=False))
    except ValueError:
        return False


def is_safe_address(url: str) -> bool:
    """Whether keys may be fetched from here: https anywhere, http only on this machine, no user or password in it."""
    if not _is_http(url):
        return False
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return False
    return parts.scheme == "https" or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
