"""Sealing what must be read again: AES-256-GCM with the row as associated data, so that a sealed text opens in its own row only.

Sealed texts name the key that sealed them by the beginning of its hash. The newest key seals; the others only open.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_VERSION: Final = "1"
_NONCE_BYTES: Final = 12
"""NIST SP 800-38D, section 8.2.2: 96 random bits, safe for 2**32 texts under one key."""


class SealBroken(Exception):
    """The text was sealed with a key that is not configured, in another row, or was changed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed."""

    text: str = field(repr=False)
    is_old: bool
    """True: an older key sealed it, so it should be sealed anew."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals and opens."""

    newest: str
    """The id of the key that seals."""
    keys: Mapping[str, bytes] = field(repr=False)
    """By their ids."""
    random_bytes: Callable[[int], bytes] = field(repr=False)

    @classmethod
    def of(cls, keys: Sequence[bytes], random_bytes: Callable[[int], bytes]) -> "Seal":
        """A seal of one key or more, the newest first; each has 32 bytes."""
        by_id = {_id_of(key): key for key in keys}
        return cls(_id_of(keys[0]), by_id, random_bytes)

    def seal(self, text: str, row: tuple[str, ...]) -> str:
        """Seal a text for one row."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # heavy, and only where keys are kept

        nonce = self.random_bytes(_NONCE_BYTES)
        sealed = AESGCM(self.keys[self.newest]).encrypt(nonce, text.encode(), _associated(row))
        return f"{_VERSION}.{self.newest}.{b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, row: tuple[str, ...]) -> Opened:
        """Open what was sealed for this row. Raises: SealBroken."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # heavy, and only where keys are kept
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # same

        version, key_id, data = _parts(sealed)
        key = self.keys.get(key_id)
        if version != _VERSION or key is None:
            raise SealBroken(f"no key {key_id!r} is configured")
        try:
            text = AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _associated(row)).decode()
        except (InvalidTag, ValueError):
            raise SealBroken("the text was sealed for another row, or changed") from None
        return Opened(text, is_old=key_id != self.newest)


def _parts(sealed: str) -> tuple[str, str, bytes]:
    try:
        version, key_id, data = sealed.split(".")
        return version, key_id, b64decode(data, validate=True)
    except ValueError:
        raise SealBroken("the text is no sealed one") from None


def _id_of(key: bytes) -> str:
    return hashlib.sha256(b"tollgate seal\0" + key).hexdigest()[:8]


def _associated(row: tuple[str, ...]) -> bytes:
    """The row's names, each with its length, so that no two rows look the same."""
    return b"".join(f"{len(name.encode())}:".encode() + name.encode() for name in row)
