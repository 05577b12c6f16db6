"""Tool arguments between JSON text, which the canonical form keeps, and the objects that some vendors want. No vendor's names."""

import orjson

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Json, JsonObject


def to_arguments(value: Json) -> str:
    """An object of arguments as compact JSON text."""
    return orjson.dumps(value).decode()


def from_arguments(text: str, field: str) -> JsonObject:
    """The object that a text of arguments stands for; no text stands for no arguments. Raises: Untranslatable."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict):
        return value
    raise Untranslatable(field, "must be the JSON text of an object")


def from_model_arguments(text: str) -> JsonObject:
    """The object that a model wrote. A text that is none is not lost: it stands whole under `raw_arguments`."""
    try:
        return from_arguments(text, "arguments")
    except Untranslatable:
        return {"raw_arguments": text}
