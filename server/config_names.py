"""The documented plain names of environment variables, and the keys they fill. They never replace what was said elsewhere."""

from collections.abc import Mapping
from typing import Any  # Any: TOML before it is checked

from server.config_sections import ProviderSettings
from server.config_values import merged

# name → the key it fills
_KEYS = {
    "DATABASE_URL": ("storage", "url"),
    "REDIS_URL": ("storage", "redis_url"),
    "STRIPE_WEBHOOK_SECRET": ("payments", "stripe", "webhook_secret"),
    "BILLING_WEBHOOK_URL": ("webhooks", "url"),
}

_PROVIDER_KEYS = {"ANTHROPIC_API_KEY": "anthropic", "OPENAI_API_KEY": "openai", "GOOGLE_API_KEY": "google"}


def documented_names(said: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """What was said, filled up from the documented names; empty variables say nothing."""
    values = said
    for name, path in _KEYS.items():
        if environ.get(name):
            values = merged(_nested(path, environ[name]), values)
    auth = values.get("auth", {})
    has_key = not isinstance(auth, Mapping) or {"public_key", "jwks_url", "secret", "private_key"} & auth.keys()
    if environ.get("OPENSAAS_PUBLIC_KEY") and not has_key:
        values = merged(values, {"auth": {"public_key": environ["OPENSAAS_PUBLIC_KEY"]}})
    return _with_provider_keys(values, environ)


def _with_provider_keys(values: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """An API key goes to providers of its kind that have none and speak to the vendor's own address.

    Another address is another company, which must not see the key. Providers are only added where none is configured at all: an
    operator who lists providers means that list.
    """
    keys = {kind: environ[name] for name, kind in _PROVIDER_KEYS.items() if environ.get(name)}
    providers = values.get("providers")
    if not providers:
        added = {kind: {"kind": kind, "api_key": key} for kind, key in keys.items()}
        return merged(values, {"providers": added}) if added else values
    if not isinstance(providers, Mapping):
        return values
    filled = {name: _filled(name, section, keys) for name, section in providers.items()}
    return {**values, "providers": filled}


def _filled(name: str, section: Any, keys: Mapping[str, str]) -> Any:
    if not isinstance(section, Mapping):
        return section
    kind = section.get("kind", name)
    if not isinstance(kind, str):
        return section
    address = str(section.get("base_url") or "").rstrip("/")
    if kind in keys and "api_key" not in section and address in {"", ProviderSettings.BASE_URLS[kind]}:
        return {**section, "api_key": keys[kind]}
    return section


def _nested(path: tuple[str, ...], value: str) -> dict[str, Any]:
    tree: Any = value
    for step in reversed(path):
        tree = {step: tree}
    result: dict[str, Any] = tree
    return result
