"""Which pages and names may reach the door: the checks against DNS rebinding. Who calls is not looked at here.

A page on the web can make a browser send requests to a server that only the browser can reach, by letting its own name point at
that server's address. Such a request carries the page's name as `Host` and the page's address as `Origin`
(MCP specification, "Streamable HTTP", security warning).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from server.config import Settings
from server.rpc_reading import Refused

HERE: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""What this machine is called by itself; no foreign page is called so."""
_ANY: Final = "*"
_FORBIDDEN: Final = 403
_MISDIRECTED: Final = 421


@dataclass(frozen=True, slots=True)
class Guard:
    """The names that are answered, and the pages that may call."""

    hosts: frozenset[str]
    """With a port: exactly this; without: whatever the port."""
    origins: frozenset[str]
    is_local: bool
    """Pages of this machine may call, because the server is there too."""

    @classmethod
    def of(cls, settings: Settings) -> "Guard":
        """As configured."""
        own = urlsplit(settings.server.public_url)
        name = _name(own.netloc.lower())
        return cls(
            hosts=HERE | {name} | set(settings.mcp.allowed_hosts),
            origins=frozenset(
                {f"{own.scheme}://{own.netloc.lower()}", *settings.server.cors_origins, *settings.mcp.allowed_origins}
            ),
            is_local=name in HERE,
        )

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Every `Host` and `Origin` of a request. Raises: Refused with 421 or 403."""
        hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
        if not hosts or not all(map(self._answers, hosts)):
            detail = "This server does not answer for this Host; its operator can add it to mcp.allowed_hosts."
            raise Refused(_MISDIRECTED, "host_not_allowed", detail)
        if not all(self._admits(value.decode("latin-1")) for name, value in headers if name == b"origin"):
            detail = "Pages of this Origin may not call; the server's operator can add it to mcp.allowed_origins."
            raise Refused(_FORBIDDEN, "origin_not_allowed", detail)

    def _answers(self, host: str) -> bool:
        return host in self.hosts or _name(host) in self.hosts

    def _admits(self, origin: str) -> bool:
        if origin in self.origins or _ANY in self.origins:
            return True
        return self.is_local and origin.startswith(("http://", "https://")) and _name(origin.split("//")[1]) in HERE


def _name(host: str) -> str:
    """A host without its port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
