"""`[keys]` of the configuration file: the secrets that guard gateway keys and kept provider keys. No other section."""

import re
from base64 import b64decode
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from server.config_sections import Filled
from server.config_values import Section

SECRET_BYTES_MIN = 32
ENCRYPTION_BYTES = 32


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().strip().encode()) < SECRET_BYTES_MIN:
        raise ValueError(f"is shorter than {SECRET_BYTES_MIN} bytes; make one with: openssl rand -base64 48")
    return SecretStr(value.get_secret_value().strip())


def encryption_key(value: SecretStr) -> bytes:
    """The 32 bytes of a key in base64 or hexadecimal. Raises: ValueError."""
    text = value.get_secret_value().strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text)
    try:
        data = b64decode(text.translate({45: "+", 95: "/"}) + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        data = b""
    if len(data) != ENCRYPTION_BYTES:
        raise ValueError(f"is not {ENCRYPTION_BYTES} bytes in base64; make one with: openssl rand -base64 32")
    return data


def _encryption(value: SecretStr) -> SecretStr:
    encryption_key(value)
    return value


class KeysSettings(Section):
    """`[keys]`."""

    secret: Annotated[Filled, AfterValidator(_long)] | None = None
    """Under which gateway keys are hashed; changed, it ends them all. None: this server issues and takes no gateway keys."""
    encryption_keys: tuple[Annotated[Filled, AfterValidator(_encryption)], ...] = ()
    """For provider keys that users leave here: the newest first, the others only open what they have sealed.
    Empty: no provider keys are kept."""
