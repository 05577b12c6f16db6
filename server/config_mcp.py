"""`[mcp]` of the configuration file: the door for agents (Model Context Protocol). No other section."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from server.config_values import Names, Section

PATH = "/mcp"


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != -1
    except ValueError:
        return False


def _servers(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _is_url(value) or urlsplit(value).query or urlsplit(value).fragment:
            raise ValueError(f"{value!r} is no issuer; write its address as https://login.example.com")
    return values


def _hosts(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not value or "/" in value or value != value.lower() or not value.isprintable():
            raise ValueError(f"{value!r} is no Host; write it as ai.example.com, or ai.example.com:8443")
    return values


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not (_is_url(value) and value.count("/") == 2):  # noqa: PLR2004  # scheme://host (RFC 6454, section 7.1)
            raise ValueError(f'{value!r} is no origin; write it as "https://app.example.com"')
    return values


def _scopes(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        # RFC 6749, section 3.3: what a scope may hold.
        if not value or not all("!" <= letter <= "~" and letter not in '"\\' for letter in value):
            raise ValueError(f"{value!r} is no scope; it is one word of printable ASCII without quotes")
    return values


class McpSettings(Section):
    """`[mcp]`."""

    enabled: bool = False
    """Needs the extra: `pip install -e '.[mcp]'`."""
    authorization_servers: Annotated[Names, AfterValidator(_servers)] = ()
    """Where agents get tokens (RFC 9728). Empty: `auth.issuer`, where that is an address."""
    scopes: Annotated[Names, AfterValidator(_scopes)] = ()
    """What agents ask these servers for; they mean nothing here."""
    allowed_hosts: Annotated[Names, AfterValidator(_hosts)] = ()
    """`Host` headers that are answered, besides that of `server.public_url` and this machine's own names."""
    allowed_origins: Annotated[Names, AfterValidator(_origins)] = ()
    """Pages that may call, besides those of `server.public_url` and `server.cors_origins`."""
    instructions: str = ""
    """What agents are told about this server, instead of our own words."""

    def servers(self, issuer: str) -> tuple[str, ...]:
        """The authorization servers; none where nobody said an address."""
        return self.authorization_servers or ((issuer,) if _is_url(issuer) else ())


def resource_of(public_url: str) -> str:
    """What tokens for this door are bound to (RFC 8707): its own address."""
    return f"{public_url.rstrip('/')}{PATH}"
