"""The OpenRPC document of a configured server, made without starting it. Nothing is served from here."""

from importlib.metadata import version
from typing import Any

from methods.all_methods import METHODS, OF_DOORS
from methods.catalog import Catalog
from methods.openrpc import describe
from server.config import ConfigError, Settings
from server.rest.openapi import openapi
from server.rest.tables import ROUTES

TITLE = "Tollgate"


def catalog_of(settings: Settings) -> Catalog:
    """The catalog as this configuration opens and closes it. Raises: ConfigError for a public name that no method has."""
    try:
        auth = settings.auth
        return Catalog(METHODS, public=auth.public_methods, is_auth_required=auth.require_auth, of_doors=OF_DOORS)
    except ValueError as wrong:
        problem = str(wrong).removeprefix("public_methods ")
        raise ConfigError("settings", "auth.public_methods", f"{problem}; rpc.discover lists them") from None


def openrpc_document(settings: Settings) -> dict[str, Any]:  # OpenRPC is JSON of every shape
    """What `rpc.discover`, `GET /openrpc.json` and `tollgate openrpc` show."""
    return describe(catalog_of(settings), title=TITLE, version=version("tollgate"), url=settings.server.public_url)


def openapi_document(settings: Settings) -> dict[str, Any]:  # OpenAPI is JSON of every shape
    """What `GET /openapi.json` and `tollgate openapi` show."""
    catalog, url = catalog_of(settings), settings.server.public_url
    return openapi(ROUTES, catalog, title=TITLE, version=version("tollgate"), url=url)
