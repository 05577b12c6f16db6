"""Images as Gemini takes them: what is certainly one, and of which type. No requests, no replies."""

import re
from typing import Final
from urllib.parse import urlsplit

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Image, JsonObject

_OTHERS: Final = re.compile(
    r"(?!https?://)|https?://([^/?#]*[@.])?(youtube\.com|youtu\.be|youtube-nocookie\.com|generativelanguage\.googleapis\.com)\.?(?![^:/?#])",
    re.IGNORECASE,
)
"""Addresses that the vendor reads by what lies there, whatever type the client gives them."""
_TYPES: Final = frozenset({"avif", "bmp", "gif", "heic", "heif", "png", "webp"})
"""Types whose files end like them."""


def is_read_as_found(address: str) -> bool:
    """Whether the vendor reads by what lies there: a video's address, and a file that lies at the vendor."""
    return _OTHERS.match(address.strip()) is not None


def file_of(image: Image, field: str) -> JsonObject:
    """The file of an image of another dialect, which is known by its address alone. Raises: Untranslatable.

    The vendor would read a file without a type as what it is, a film or a thousand pages, where an image is held for.
    """
    address = image.url
    if not address:
        raise Untranslatable(field, "an image needs data or a URL")
    if is_read_as_found(address):
        raise Untranslatable(field, "this vendor would read what lies at this address as no image")
    return {"mimeType": image.media_type or _type_at(address), "fileUri": address}


def _type_at(address: str) -> str:
    try:
        ending = urlsplit(address).path.rpartition(".")[2].lower()
    except ValueError:
        ending = ""
    return f"image/{ending}" if ending in _TYPES else "image/jpeg"
