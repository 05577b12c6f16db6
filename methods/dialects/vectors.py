"""Embeddings between numbers and little-endian float32 in base64, as OpenAI writes them. No vendor's JSON."""

import binascii
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

from methods.dialects.canonical import Json
from methods.dialects.canonical_once import Vector

_FLOAT_BYTES: Final = 4


def parse_vector(value: Json) -> Vector:
    """A vector as a vendor sent it. Raises: ValueError for what is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, int | float) for item in value):
        return [item for item in value if isinstance(item, int | float)]
    raise ValueError("an embedding is neither numbers nor base64")


def to_numbers(vector: Vector) -> list[Json]:
    """The numbers. Raises: ValueError for base64 that holds no float32."""
    return [*vector] if not isinstance(vector, str) else [*_decoded(vector)]


def _decoded(text: str) -> Sequence[float]:
    try:
        data = b64decode(text, validate=True)
    except binascii.Error as wrong:
        raise ValueError("an embedding is no base64") from wrong
    if len(data) % _FLOAT_BYTES:
        raise ValueError("an embedding is no float32")
    return _swapped(array("f", data))


def to_base64(vector: Vector) -> str:
    """The base64 of the numbers as little-endian float32."""
    return vector if isinstance(vector, str) else b64encode(_swapped(array("f", vector)).tobytes()).decode()


def _swapped(numbers: "array[float]") -> "array[float]":
    """Between the machine's order of bytes and the wire's."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
