"""Where agents get tokens: the metadata of a protected resource (RFC 9728) and the challenge that points to it (RFC 6750)."""

from dataclasses import dataclass
from typing import Any, Final  # Any: the metadata is JSON
from urllib.parse import urlsplit

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.config import Settings
from server.config_mcp import resource_of

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_DESCRIPTION_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Signpost:
    """What is told to agents without a credential that holds."""

    resource: str
    """The address of the door, as tokens must name it (RFC 8707)."""
    servers: tuple[str, ...]
    """Empty: keys and tokens are handed out elsewhere, so nothing is pointed to."""
    scopes: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> "Signpost":
        """As configured."""
        mcp = settings.mcp
        return cls(resource_of(settings.server.public_url), mcp.servers(settings.auth.issuer), mcp.scopes)

    @property
    def address(self) -> str:
        """Of the metadata: the well-known part stands between host and path (RFC 9728, section 3.1)."""
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path}"

    def document(self) -> dict[str, Any]:
        """The metadata (RFC 9728, section 2)."""
        return {
            "resource": self.resource,
            "authorization_servers": list(self.servers),
            **({"scopes_supported": list(self.scopes)} if self.scopes else {}),
            "bearer_methods_supported": ["header"],
            "resource_name": "Tollgate",
        }

    def challenge(self, *, problem: str | None = None) -> tuple[bytes, bytes]:
        """`WWW-Authenticate` of a 401. `problem`: why the token that was shown does not hold; None: none was shown."""
        said = ['realm="tollgate"']
        if problem is not None:
            # RFC 6750, section 3: neither quotes nor backslashes nor anything beyond ASCII.
            words = "".join(letter for letter in problem if " " <= letter <= "~" and letter not in '"\\')
            said += ['error="invalid_token"', f'error_description="{words[:_DESCRIPTION_MAX]}"']
        if self.servers:
            said.append(f'resource_metadata="{self.address}"')
        if self.scopes:
            said.append(f'scope="{" ".join(self.scopes)}"')
        return b"www-authenticate", f"Bearer {', '.join(said)}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the metadata; there is none where there is no authorization server (it is required there by MCP)."""
        if not self.servers:
            detail = {
                "error": "not_found",
                "message": "No authorization server is configured: mcp.authorization_servers.",
            }
            await Response(orjson.dumps(detail), 404, media_type="application/json")(scope, receive, send)
            return
        await Response(orjson.dumps(self.document()), media_type="application/json")(scope, receive, send)
