"""Who calls on a vendor's door, and with whose provider key. Nothing is believed here; `server/auth` does that.

A Tollgate key or a JWT stands where the vendor's key would. With `X-Tollgate-Key` or `X-OM-Api-Key` beside it, that one says who
calls, and the vendor's place holds the client's own provider key.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Scope

from methods.errors import InvalidParams
from monetization.calls import Credential
from monetization.errors import Unauthenticated
from monetization.keys.minting import PREFIX
from server.vendors.surface import Surface

_OURS: Final = (b"x-tollgate-key", b"x-om-api-key")
_JWT_PARTS: Final = 3
_KEY_CHARS_MAX: Final = 4096


def credentials_of(
    surface: Surface, scope: Scope, headers: Mapping[bytes, bytes], query: bytes
) -> tuple[Credential, str | None]:
    """The caller's credential and, if the client brought one, its own provider key. Raises: Unauthenticated, InvalidParams."""
    client = scope.get("client")
    address = client[0] if client else None
    shown = _shown(surface, headers, query)
    for name in _OURS:
        if name in headers:
            said = headers[name].strip().decode("latin-1")
            # What stands here is ours: a token, or a gateway key, whose beginning may be left out.
            said = said if _is_token(said) else PREFIX + said.removeprefix(PREFIX)
            credential = Credential("bearer", said, address)
            return credential, None if shown is None or _is_ours(shown) else _checked(shown)
    return Credential("none" if shown is None else "bearer", shown or "", address), None


def _shown(surface: Surface, headers: Mapping[bytes, bytes], query: bytes) -> str | None:
    """What stands where the vendor's key would."""
    found: set[str] = set()
    bearer = headers.get(b"authorization", b"")
    if bearer[:7].lower() == b"bearer ":
        found.add(bearer[7:].strip().decode("latin-1"))
    if surface.key_header is not None and surface.key_header in headers:
        found.add(headers[surface.key_header].strip().decode("latin-1"))
    if surface.key_query is not None and b"%b=" % surface.key_query.encode() in query:
        found |= {value for name, value in parse_qsl(query.decode("latin-1")) if name == surface.key_query}
    found.discard("")
    if len(found) > 1:
        raise Unauthenticated("send one credential; two that differ were sent", reason="two_credentials")
    return found.pop() if found else None


def _is_ours(shown: str) -> bool:
    """A credential of this server, sent a second time."""
    return shown.startswith(PREFIX) or _is_token(shown)


def _is_token(shown: str) -> bool:
    return shown.startswith("eyJ") and shown.count(".") == _JWT_PARTS - 1


def _checked(key: str) -> str:
    if not key.isascii() or not key.isprintable() or " " in key or len(key) > _KEY_CHARS_MAX:
        raise InvalidParams(
            "your own provider key must be one word of printable ASCII characters", reason="invalid_key"
        )
    return key
