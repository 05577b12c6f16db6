"""The method tables as an OpenRPC document. Pure: a catalog in, JSON out; nothing is served, cached or read from here.

OpenRPC 1.3.2, written so that readers of 1.2.6 understand it too (reference: the OpenRPC specification, sections "Method Object"
and "Content Descriptor Object"). Every name that can be called has its entry; an alias says whose it is in `x-alias-of`.
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from methods.catalog import Catalog
from methods.errors import CODES, Cancelled, Forbidden, InvalidParams
from methods.method import Access, Example, Method
from monetization.errors import Overloaded, RateLimited, Unauthenticated
from storage.errors import Fault, IdempotencyConflict, StorageUnavailable

OPENRPC_VERSION: Final = "1.3.2"
INTERNAL: Final = {"code": -32603, "message": "Internal error"}

JsonObject: TypeAlias = dict[str, Any]  # Any: JSON Schema and OpenRPC are foreign JSON of every shape
References: TypeAlias = Mapping[Any, JsonObject]  # by a type and how it is used; a result may be any type at all

_EVERYWHERE: Final[tuple[type[Fault], ...]] = (InvalidParams, Unauthenticated, RateLimited, Overloaded)
_METERED: Final[tuple[type[Fault], ...]] = (Cancelled, IdempotencyConflict, StorageUnavailable)
_REF: Final = "#/components/schemas/{model}"


def describe(catalog: Catalog, *, title: str, version: str, url: str) -> JsonObject:
    """The document for all methods of a catalog; the same catalog gives the same document, member for member."""
    by_type, schemas = schemas_of(catalog.methods)
    names_of_params = {
        by_type[(method.params_type, "validation")]["$ref"].rpartition("/")[2] for method in catalog.methods
    }
    faults = sorted(
        {fault for method in catalog.methods for fault in faults_of(method)}, key=lambda fault: fault.__name__
    )
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {"title": title, "version": version, "description": inspect.cleandoc(_ABOUT)},
        "servers": [
            {"name": "rpc", "url": f"{url.rstrip('/')}/rpc", "summary": "POST, or a WebSocket on the same path"}
        ],
        "methods": [
            entry
            for method in catalog.methods
            for entry in _entries(method, catalog.access[method.name], by_type, schemas)
        ],
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in names_of_params},
            "errors": {fault.__name__: _error(fault) for fault in faults} | {"Internal": INTERNAL},
        },
    }


_ABOUT: Final = """
    JSON-RPC 2.0. Parameters go by name or by position. Every error has `data.reason`, which is stable, and `data.requestId`.
    Methods with `x-streams` report `$/progress` before their result when `params.stream` is true and the transport can carry it:
    `POST` with `Accept: text/event-stream`, or a WebSocket. An error after the first `$/progress` has `data.partial`, and like
    one of a cancelled call (-32800) `data.usage`: what the call used, in the shape of the result's `usage`.
    Credentials go into the `Authorization` header.
"""


def _entries(
    method: Method, access: Access, by_type: References, schemas: Mapping[str, JsonObject]
) -> list[JsonObject]:
    summary, _, text = inspect.cleandoc(method.handler.__doc__ or method.name).partition("\n")
    entry: JsonObject = {
        "name": method.name,
        "summary": summary,
        **({"description": text.strip()} if text.strip() else {}),
        "tags": [{"name": method.handler.__module__.rpartition(".")[2]}],
        "paramStructure": "either",
        "params": _params(by_type[(method.params_type, "validation")], schemas),
        "result": {"name": "result", "schema": by_type[(method.result_type, "serialization")]},
        "errors": [{"$ref": f"#/components/errors/{fault.__name__}"} for fault in faults_of(method)]
        + [{"$ref": "#/components/errors/Internal"}],
        "examples": [_example(example) for example in method.examples],
        "x-access": access.value,
        "x-scope": method.scope,
        "x-streams": method.streams,
        "x-metered": method.terms.is_metered,
    }
    return [entry, *({**entry, "name": alias, "x-alias-of": method.name} for alias in method.aliases)]


def _params(reference: JsonObject, schemas: Mapping[str, JsonObject]) -> list[JsonObject]:
    schema = schemas[reference["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    return [
        {
            "name": name,
            **({"description": member["description"]} if "description" in member else {}),
            "required": name in required,
            "schema": member,
        }
        for name, member in schema.get("properties", {}).items()
    ]


def faults_of(method: Method) -> tuple[type[Fault], ...]:
    """What a call of a method may be refused by: the ladder's faults and its own."""
    of_role = (Forbidden,) if method.scope != "public" else ()
    of_money = _METERED if method.terms.is_metered else ()
    return tuple(dict.fromkeys((*_EVERYWHERE, *of_role, *of_money, *method.faults)))


def _error(fault: type[Fault]) -> JsonObject:
    code = next(CODES[kind] for kind in fault.__mro__ if kind in CODES)
    about = " ".join(inspect.cleandoc(fault.__doc__ or "").split())
    return {"code": code, "message": fault.message, "data": {"reason": fault.reason, "description": about}}


def _example(example: Example) -> JsonObject:
    return {
        "name": example.name,
        "params": [{"name": name, "value": value} for name, value in example.params.items()],
        "result": {"name": "result", "value": example.result},
    }


def schemas_of(methods: Iterable[Method]) -> tuple[References, dict[str, JsonObject]]:
    """Where each parameter and result type is described, and all descriptions by name."""
    wanted: dict[tuple[Any, JsonSchemaMode], TypeAdapter[Any]] = {}
    for method in methods:
        wanted[(method.params_type, "validation")] = TypeAdapter(method.params_type)
        wanted[(method.result_type, "serialization")] = TypeAdapter(method.result_type)
    by_type, document = TypeAdapter.json_schemas(
        [(kind, mode, adapter) for (kind, mode), adapter in wanted.items()], by_alias=True, ref_template=_REF
    )
    return by_type, document.get("$defs", {})
