"""The table of the REST facades as an OpenAPI 3.1 document, with the methods' own JSON Schemas. Pure; nothing is served here."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from methods.catalog import Catalog
from methods.method import Access, Method
from methods.openrpc import References, faults_of, schemas_of
from server.errors import STATUSES
from server.rest.answers import rest_status_of
from server.rest.requests import IDEMPOTENCY_KEY
from server.rest.route import BODIED, Family, Route
from server.rest.shapes import JsonObject
from storage.errors import Fault

OPENAPI_VERSION: Final = "3.1.0"
_PREFIX: Final = "#/components/schemas/"
_ERRORS: Final[dict[Family, str]] = {"openmonetize": "Error", "credits": "GuideError"}
_ALWAYS: Final = (400, 401, 403, 429, 500, 503)
_OF_BODIES: Final = (408, 413, 415)
_VISIBLE: Final = {"pattern": "^[!-~]+$"}
_ABOUT: Final = """
    The REST facades: thin routes onto the JSON-RPC methods, which `/openrpc.json` describes. Names of members may be written in
    camelCase or snake_case, not both at once. `Idempotency-Key` and `idempotencyKey` are the same key.
"""
_WORDS: Final = {
    400: "The request is wrong",
    401: "No credential, or one that is not believed",
    402: "No money for it",
    403: "Not allowed, or not in the plan",
    404: "There is no such thing for this caller",
    408: "The body took too long to arrive",
    409: "It conflicts with what is there",
    413: "The body is too large",
    415: "The body is no JSON, or is compressed",
    422: "The idempotency key was used with another request",
    429: "Too fast, or the quota is used up; `Retry-After` says when to come back",
    500: "Our mistake",
    502: "The provider failed",
    503: "Overloaded or leaving; `Retry-After` says when to come back",
    504: "The provider took too long",
}


def openapi(routes: Sequence[Route], catalog: Catalog, *, title: str, version: str, url: str) -> JsonObject:
    """The document for a table; the same table gives the same document, member for member."""
    by_type, schemas = schemas_of({route.method: catalog.find(route.method) for route in routes}.values())
    paths: dict[str, JsonObject] = {}
    for route in routes:
        operation = _operation(route, catalog.find(route.method), catalog, by_type, schemas)
        paths.setdefault(route.path, {})[route.verb.lower()] = operation
    errors = {name: _error_schema(family) for family, name in _ERRORS.items()}
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": title, "version": version, "description": inspect.cleandoc(_ABOUT)},
        "servers": [{"url": url.rstrip("/") or "/"}],
        "paths": paths,
        "components": {
            "schemas": _used(paths, schemas) | errors,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of an issuer, or a gateway key"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A gateway key"},
            },
        },
    }


def _operation(
    route: Route, method: Method, catalog: Catalog, by_type: References, schemas: Mapping[str, JsonObject]
) -> JsonObject:
    summary, _, text = inspect.cleandoc(method.handler.__doc__ or method.name).partition("\n")
    needed: list[JsonObject] = [{"bearer": []}, {"apiKey": []}]
    is_open = catalog.access[method.name] is not Access.REQUIRED
    members = _resolved(by_type[(method.params_type, "validation")], schemas)
    operation: JsonObject = {
        "operationId": _name_of(route),
        "summary": summary,
        **({"description": text.strip()} if text.strip() else {}),
        "tags": [route.path.split("/")[2]],
        "x-method": method.name,
        "security": [{}, *needed] if is_open else needed,
        "parameters": _parameters(route, members),
        "responses": _responses(route, method, by_type, schemas),
    }
    if route.verb in BODIED:
        operation["requestBody"] = _body(route, members)
    return operation


def _parameters(route: Route, members: JsonObject) -> list[JsonObject]:
    known, required = members.get("properties", {}), members.get("required", [])
    shown = [
        {"name": slot, "in": "path", "required": True, "schema": known.get(route.param(slot), {"type": "string"})}
        | _example(route.sample.path, slot)
        for slot in route.slots
    ]
    if route.verb in BODIED:
        if IDEMPOTENCY_KEY in known:
            key = next(kind for kind in known[IDEMPOTENCY_KEY]["anyOf"] if kind.get("type") == "string")
            shown.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": key | _VISIBLE})
        return shown
    return shown + [
        {"name": name, "in": "query", "required": param in required, "schema": known[param]}
        | _example(route.sample.query, name)
        for name, param in _said(route, known)
    ]


def _body(route: Route, members: JsonObject) -> JsonObject:
    known = members.get("properties", {})
    said = dict(_said(route, known))
    schema: JsonObject = {
        "type": "object",
        "properties": {name: known[param] for name, param in said.items()},
        "required": [name for name, param in said.items() if param in members.get("required", [])],
    }
    content: JsonObject = {"schema": schema}
    if route.sample.body is not None:
        content["example"] = dict(route.sample.body)
    others = {media: {"schema": dict(held)} for media, held in route.bodies.items()}
    return {"required": not route.default, "content": {"application/json": content, **others}}


def _said(route: Route, known: Mapping[str, JsonObject]) -> list[tuple[str, str]]:
    """The members that a request says beside its path: by the route's own name for it, and the method's."""
    names = {param: name for name, param in route.renamed.items()}
    taken = {route.param(slot) for slot in route.slots} | set(route.set) | route.ignored
    return [(names.get(param, param), param) for param in known if param not in taken]


def _responses(
    route: Route, method: Method, by_type: References, schemas: Mapping[str, JsonObject]
) -> dict[str, JsonObject]:
    good: JsonObject = {"description": "Done"}
    if route.files:
        good["content"] = {media: {"schema": {"type": "string"}} for media in route.files}
    elif route.status != 204:  # noqa: PLR2004  # a status by its number
        result = by_type[(method.result_type, "serialization")]
        shown = route.shape.schema(result, lambda schema: _resolved(schema, schemas))
        good["content"] = {"application/json": {"schema": shown}}
    error = {"$ref": f"{_PREFIX}{_ERRORS[route.family]}"}
    statuses = sorted({*_ALWAYS, *(_OF_BODIES if route.verb in BODIED else ()), *_statuses(faults_of(method))})
    bad = {
        str(status): {"description": _WORDS[status], "content": {"application/json": {"schema": error}}}
        for status in statuses
    }
    return {str(status): good for status in sorted({route.status, *route.also})} | bad


def _statuses(faults: Iterable[type[Fault]]) -> set[int]:
    return {rest_status_of(fault()) for fault in faults if STATUSES.get(fault, 0) in _WORDS}


def _error_schema(family: Family) -> JsonObject:
    members: JsonObject = {
        "error": {"type": "string", "description": "A stable word for programs"},
        "message": {"type": "string", "description": "A sentence for people"},
        "request_id": {"type": "string"},
        "details": {"type": "object"},
    }
    required = ["error", "message"]
    if family == "credits":
        members, required = {"success": {"const": False}} | members, ["success", *required]
    return {"type": "object", "properties": members, "required": required}


def _example(said: Mapping[str, str], name: str) -> JsonObject:
    return {"example": said[name]} if name in said else {}


def _name_of(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.path)
    return route.verb.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _resolved(schema: JsonObject, schemas: Mapping[str, JsonObject]) -> JsonObject:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].removeprefix(_PREFIX)]
    return schema


def _used(document: object, schemas: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
    """The schemas that a document refers to, and those that they refer to."""
    used: set[str] = set()
    waiting: list[object] = [document]
    for value in waiting:  # it grows as it is read
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            name = str(value.get("$ref", "")).removeprefix(_PREFIX)
            if name in schemas and name not in used:
                used.add(name)
                waiting.append(schemas[name])
    return {name: schema for name, schema in schemas.items() if name in used}
