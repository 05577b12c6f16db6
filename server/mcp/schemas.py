"""The schemas of tools: what the methods' own models say, in the words that every agent's model understands. Pure.

Agents hand schemas on to models of many vendors, whose dialects of JSON Schema differ. So nothing is left in them that only
some read: no titles (each name says the same), no `null` that means "left out", no keyword of OpenAPI, no reference to elsewhere.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final  # Any: JSON Schema is JSON of every shape

from pydantic import TypeAdapter

from methods.method import Method

Schema = dict[str, Any]
_NULL: Final = {"type": "null"}
_FOREIGN: Final = frozenset({"title", "discriminator", "writeOnly", "examples"})
_NAMED: Final = frozenset({"properties", "$defs", "patternProperties"})
_EMPTY: Final[Schema] = {"type": "object", "properties": {}, "additionalProperties": False}


def input_schema(method: Method) -> Schema:
    """Of a tool's arguments."""
    whole = TypeAdapter(method.params_type).json_schema(by_alias=True)
    hides = () if method.tool is None else method.tool.hides
    for path in hides:
        _hide(whole, path.split("."))
    schema = _used(_optional(_plain(whole)))
    return _EMPTY if not schema.get("properties") else schema


def output_schema(method: Method) -> Schema:
    """Of a tool's result."""
    return _used(_plain(TypeAdapter(method.result_type).json_schema(by_alias=True, mode="serialization")))


def _hide(whole: Schema, path: list[str]) -> None:
    """Take a parameter out; what it was described by stays only where something else points to it."""
    place = whole
    for step in path[:-1]:
        place = _followed(place["properties"][step], whole)
    del place["properties"][path[-1]]
    assert path[-1] not in place.get("required", ()), "what must be given cannot be hidden"


def _followed(schema: Schema, whole: Schema) -> Schema:
    target: Schema = whole["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return target


def _plain(schema: Any, *, is_names: bool = False) -> Any:
    """Without foreign words. `is_names`: the members of this object are names that somebody chose."""
    if isinstance(schema, list):
        return [_plain(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    said = {} if is_names else _FOREIGN
    return {
        ("anyOf" if name == "oneOf" and not is_names else name): _plain(inner, is_names=not is_names and name in _NAMED)
        for name, inner in schema.items()
        if name not in said
    }


def _optional(schema: Any) -> Any:
    """Parameters that may be left out say so by being left out, and not by `null` as well."""
    if isinstance(schema, list):
        return [_optional(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    said = {name: _optional(inner) for name, inner in schema.items()}
    kinds = said.get("anyOf")
    if isinstance(kinds, list) and _NULL in kinds and said.get("default", kinds) is None:
        rest = [kind for kind in kinds if kind != _NULL]
        said = {name: value for name, value in said.items() if name not in ("anyOf", "default")}
        said = {**(rest[0] if len(rest) == 1 else {"anyOf": rest}), **said}
    return said


def _used(schema: Schema) -> Schema:
    """With those definitions only that something points to."""
    known: Mapping[str, Any] = schema.get("$defs", {})
    rest = {name: value for name, value in schema.items() if name != "$defs"}
    reached: set[str] = set()
    waiting = set(_references(rest))
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= set(_references(known[name])) - reached
    kept = {name: value for name, value in known.items() if name in reached}
    return {**rest, "$defs": kept} if kept else rest


def _references(schema: Any) -> Iterable[str]:
    if isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)
    elif isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "$ref" and isinstance(inner, str):
                yield inner.rpartition("/")[2]
            else:
                yield from _references(inner)
