"""Tool arguments between JSON text, which the canonical form keeps, and the objects that some vendors want. No vendor's names."""

from typing import Final

import orjson

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Json, JsonObject

_DEPTH_MAX: Final = 128
"""Deeper objects could be read, but not written: orjson stops at 254 levels, and what is around them needs some."""


def to_arguments(value: Json) -> str:
    """An object of arguments as compact JSON text. Raises: ValueError for one that is nested too deeply to be written."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise ValueError("arguments are nested too deeply") from None


def from_arguments(text: str, field: str) -> JsonObject:
    """The object that a text of arguments stands for; no text stands for no arguments. Raises: Untranslatable."""
    value = object_of(text or "{}")
    if value is None:
        why = f"the arguments of a call must be the JSON text of an object, nested at most {_DEPTH_MAX} deep"
        raise Untranslatable(field, why)
    return value


def object_of(text: str) -> JsonObject | None:
    """The object that is written in a text; None where it holds anything else, or one that nobody could write again."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and not _is_too_deep(text, value) else None


def _is_too_deep(text: str, value: Json) -> bool:
    """Whether it is nested too deeply; nearly every text has too few brackets for that."""
    if text.count("{") + text.count("[") <= _DEPTH_MAX:
        return False
    level = [value]
    for _ in range(_DEPTH_MAX):
        level = [inner for holder in level for inner in _inside(holder)]
    return bool(level)


def _inside(value: Json) -> list[Json]:
    """The objects and arrays right inside a value."""
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [member for member in members if isinstance(member, dict | list)]


def from_model_arguments(text: str) -> JsonObject:
    """The object that a model wrote. A text that is none is not lost: it stands whole under `raw_arguments`."""
    try:
        return from_arguments(text, "arguments")
    except Untranslatable:
        return {"raw_arguments": text}
