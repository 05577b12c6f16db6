"""Names of Gemini's wire: paths, members in camelCase or snake_case, schemas in its upper-case form. No requests, no replies."""

from typing import Final
from urllib.parse import quote

from methods.dialects.base import Untranslatable
from methods.dialects.canonical import Json, JsonObject

DIALECT: Final = "gemini"

_COLLECTIONS: Final = ("models/", "tunedModels/")
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_CHILD_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_CHILD_MAPS: Final = frozenset({"properties", "defs", "$defs"})
_RENAMED: Final = {"defs": "$defs", "ref": "$ref"}


def members_of(value: JsonObject) -> JsonObject:
    """The members under their camelCase names; the vendor takes snake_case as well (protobuf's JSON mapping).

    Raises: Untranslatable for a member that is there twice, because nobody knows which one the vendor would take.
    """
    for name in value:
        if "_" in name:
            members = {_camel(name): member for name, member in value.items()}
            if len(members) < len(value):
                _refuse_twice(value)
            return members
    return value


def items_of(value: Json) -> Json:
    """The items of a list: one object alone stands for a list of it, as the vendor's own samples write turns and parts."""
    return [value] if isinstance(value, dict) else value


def _refuse_twice(value: JsonObject) -> None:
    """Raise Untranslatable for the first member whose name another one has, too. Plain names are looked at first."""
    found: dict[str, str] = {}
    for name in sorted(value, key=lambda name: "_" in name):
        other = found.setdefault(_camel(name), name)
        if other != name:
            raise Untranslatable(name, f"is said twice, also as {other}")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return name if not head else head + "".join([word[:1].upper() + word[1:] for word in rest])


def resource_of(model: str) -> str:
    """A model's name as this vendor writes it, with the collection that it is in."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def path_of(version: str, model: str, verb: str) -> str:
    """The URL path of a model's method below the vendor's root. Raises: Untranslatable for a model that is no name."""
    resource = resource_of(model)
    if not model or any(segment in ("", ".", "..") for segment in resource.split("/")):
        raise Untranslatable("model", f"{model!r} is no name of a model")
    return f"/{version}/{quote(resource, safe='/')}:{verb}"


def to_json_schema(schema: JsonObject) -> JsonObject:
    """The vendor's Schema (upper-case types, `nullable`, counts as text) as JSON Schema."""
    result: JsonObject = {}
    given = members_of(schema)
    for name, value in given.items():
        if name == "type" and isinstance(value, str):
            kind: Json = value.lower()
            result["type"] = [kind, "null"] if given.get("nullable") is True else kind
        elif name == "example":
            result["examples"] = [value]
        elif name in _COUNTS and isinstance(value, str) and value.isdecimal():
            result[name] = int(value)
        elif name not in ("nullable", "propertyOrdering"):
            result[_RENAMED.get(name, name)] = _children(name, value)
    return result


def _children(name: str, value: Json) -> Json:
    """Schemas inside a schema; anything else as it is."""
    if name in _CHILD_LISTS and isinstance(value, list):
        return [to_json_schema(item) if isinstance(item, dict) else item for item in value]
    if name in _CHILD_MAPS and isinstance(value, dict):
        return {key: to_json_schema(item) if isinstance(item, dict) else item for key, item in value.items()}
    if name in ("items", "additionalProperties") and isinstance(value, dict):
        return to_json_schema(value)
    return value
