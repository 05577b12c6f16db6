"""From a request to the parameters of its method: path, query and body, both casings, numbers of a query. Nothing is served here.

What the method's own model checks is left to it; only what would be ambiguous is refused here.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

from methods.errors import InvalidParams
from methods.method import Method
from server.rest.route import Route, camel_of
from server.rest.shapes import JsonObject

QUERY_NAMES_MAX: Final = 64
_NAME_CHARS_MAX: Final = 100
_INTEGER: Final = re.compile(r"-?\d{1,18}")
_SPACED: Final = re.compile(r"\A(\d{4}-\d\d-\d\dT[\d:.]+) (\d\d:?\d\d)\Z")
"""An instant whose `+` was not percent-encoded, so that it came as a space."""
_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False}
IDEMPOTENCY_KEY: Final = "idempotencyKey"


def types_of(method: Method) -> dict[str, frozenset[str]]:
    """The JSON types that each parameter of a method takes, by its wire name."""
    whole = method.params_type.model_json_schema(by_alias=True)
    return {name: frozenset(_types(schema, whole)) for name, schema in whole.get("properties", {}).items()}


def _types(schema: JsonObject, whole: JsonObject) -> Iterable[str]:
    if "$ref" in schema:
        yield from _types(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "type" in schema:
        yield schema["type"]
    elif "enum" in schema:
        yield "string"
    for kind in schema.get("anyOf", ()):
        yield from _types(kind, whole)


def segments_of(raw_path: bytes) -> list[str] | None:
    """The parts of a path, each decoded by itself, so that an encoded slash stays inside its part. None: it is no UTF-8."""
    path = raw_path.partition(b"?")[0]
    path = path[:-1] if path.endswith(b"/") else path
    try:
        return [unquote_to_bytes(part).decode() for part in path.split(b"/")[1:]]
    except UnicodeDecodeError:
        return None


def params_from(
    route: Route,
    types: Mapping[str, frozenset[str]],
    *,
    path: Mapping[str, str],
    query: bytes = b"",
    body: Mapping[str, object] | None = None,
    idempotency_key: str | None = None,
) -> dict[str, object]:
    """The parameters. Raises: InvalidParams for a name that is said twice, or one that the route itself says."""
    params: dict[str, object] = {}
    for slot, part in path.items():
        _say(route, params, slot, part)
    said = False
    for name, text in _queried(query):
        said = True
        _say(route, params, name, _read(text, types.get(route.param(name), frozenset())))
    for name, value in (body or {}).items():
        said = True
        _say(route, params, name, value)
    if not said:
        params |= route.default
    if idempotency_key is not None and IDEMPOTENCY_KEY in types:
        if params.get(IDEMPOTENCY_KEY) not in (None, idempotency_key):
            raise InvalidParams("the header Idempotency-Key and 'idempotencyKey' differ; send one of them")
        params[IDEMPOTENCY_KEY] = idempotency_key
    return params | dict(route.set)


def _queried(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_NAMES_MAX)
    except ValueError:
        raise InvalidParams(f"the query must be UTF-8 with at most {QUERY_NAMES_MAX} names") from None


def _say(route: Route, params: dict[str, object], name: str, value: object) -> None:
    if camel_of(name) in route.ignored:
        return
    param = route.param(name)
    shown = name[:_NAME_CHARS_MAX]
    if param in route.set:
        raise InvalidParams(f"{shown}: this endpoint says it itself; leave it out")
    if param in params:
        raise InvalidParams(f"{shown}: said twice; send it once, in one casing and in one place")
    params[param] = value


def _read(text: str, types: frozenset[str]) -> object:
    """A word of a query as what its parameter takes; what does not fit stays a word, which the method refuses by its name."""
    if "array" in types:
        return text.split(",")
    if "boolean" in types and text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    if "integer" in types and "string" not in types and _INTEGER.fullmatch(text):
        return int(text)
    return _SPACED.sub(r"\1+\2", text)
