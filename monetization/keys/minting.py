"""How a gateway key is made, recognised and kept: `tg_live_ID_SECRET`, of which only a keyed hash is ever stored.

The secret is 256 random bits followed by a tag, a MAC of all before it, so that a guessed key is refused without asking anybody.
What is stored is HMAC-SHA256 under the server's own secret: who reads the database can neither use a key nor test a guess.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

PREFIX: Final = "tg_live_"
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_TAG_BYTES: Final = 9
"""72 bits: twelve characters."""
_SHAPE: Final = re.compile(r"tg_live_([0-9a-f]{16})_([A-Za-z0-9_-]{43})([A-Za-z0-9_-]{12})")
PREVIEW_LENGTH: Final = len(PREFIX) + 2 * _ID_BYTES


@dataclass(frozen=True, slots=True)
class Mint:
    """Makes keys and tells ours from others."""

    secret: bytes = field(repr=False)
    """The server's own; all keys die with it."""
    random_bytes: Callable[[int], bytes] = field(repr=False)

    def new_id(self) -> str:
        """A new key's id."""
        return self.random_bytes(_ID_BYTES).hex()

    def key(self, key_id: str) -> str:
        """A new secret under this id, as its holder shows it. It is told once and never stored."""
        body = f"{PREFIX}{key_id}_{_text(self.random_bytes(_SECRET_BYTES))}"
        return body + self._tag(body)

    def id_of(self, shown: str) -> str | None:
        """The id in a key that this mint has made; None for anything else, however much it looks like one."""
        found = _SHAPE.fullmatch(shown)
        if found is None:
            return None
        key_id, secret, tag = found.groups()
        expected = self._tag(f"{PREFIX}{key_id}_{secret}")
        return key_id if hmac.compare_digest(tag, expected) else None

    def hash_of(self, shown: str) -> str:
        """What is stored of a key."""
        return hmac.digest(self.secret, b"hash\0" + shown.encode(), hashlib.sha256).hex()

    def _tag(self, body: str) -> str:
        return _text(hmac.digest(self.secret, b"tag\0" + body.encode(), hashlib.sha256)[:_TAG_BYTES])


def is_same_hash(one: str, other: str) -> bool:
    """Whether two hashes are the same, in a time that says nothing of where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def preview(key_id: str) -> str:
    """What may be shown of a key at any time."""
    return f"{PREFIX}{key_id}_…"


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
