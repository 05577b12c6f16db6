"""All doors of one process: their paths, and how each is opened once everything behind it stands. No door is described here."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

import orjson
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from server.compose import Parts
from server.config import Settings
from server.describe import openapi_document
from server.documents import WhenAsked
from server.drain import Drain
from server.ids import new_request_id
from server.logs import Logs
from server.mcp.opening import direct_of, open_mcp, routes_of
from server.plain_http import Means
from server.rest.door import PREFIXES, RestDoor
from server.rest.tables import ROUTES
from server.rest_export import PATH as EXPORT_PATH
from server.rest_export import ExportDoor
from server.rest_ingestion import PATH as EVENTS_PATH
from server.rest_ingestion import EventsDoor
from server.rpc import RpcDoor
from server.rpc_calls import RpcLimits
from server.vendors import tables as vendor_tables
from server.vendors.door import VendorDoor


class Late:
    """An ASGI endpoint that exists once the composition does; the server takes no request before."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand the exchange on."""
        assert self.app is not None, "a request came before the start was complete"
        return self.app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Doors:
    """Every door that carries calls, and the two documents."""

    rpc: Late = field(default_factory=Late)
    events: Late = field(default_factory=Late)
    export: Late = field(default_factory=Late)
    rest: Late = field(default_factory=Late)
    vendors: Late = field(default_factory=Late)
    mcp: Late = field(default_factory=Late)
    openrpc: Late = field(default_factory=Late)
    openapi: Late = field(default_factory=Late)

    def routes(self, settings: Settings) -> list[BaseRoute]:
        """Their paths; what is more exact comes first."""
        return [
            Route("/rpc", self.rpc),  # for `/rpc/`, which is redirected; `/rpc` itself goes the direct way
            Route(EVENTS_PATH, self.events),  # the same
            Route(EXPORT_PATH, self.export),
            Route("/openrpc.json", self.openrpc, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            *routes_of(settings, self.mcp),
            *(Route(path, self.vendors) for path in vendor_tables.PATHS),
            *(_whole(Route(prefix, self.rest)) for prefix in PREFIXES),  # after every path of its own
        ]

    def bounded(self) -> tuple[str, ...]:
        """How the paths begin whose doors bound their bodies themselves."""
        return tuple(prefix.partition("{")[0] for prefix in (*PREFIXES, *vendor_tables.PATHS))

    def direct(self, settings: Settings) -> Mapping[str, ASGIApp]:
        """The busiest, by their exact path."""
        vendors = dict.fromkeys(vendor_tables.DIRECT, self.vendors)
        return {"/rpc": self.rpc, EVENTS_PATH: self.events, **vendors, **direct_of(settings, self.mcp)}

    async def open(self, settings: Settings, parts: Parts, drain: Drain, logs: Logs, stack: AsyncExitStack) -> None:
        """Open them onto the one gateway; `stack` closes what has to be closed."""

        def means(name: str) -> Means:
            return _means(name, settings, parts, drain, logs)

        self.rpc.app = _rpc_door(settings, parts, drain, logs)
        self.events.app = EventsDoor(means("events"))
        self.export.app = ExportDoor(means("export"))
        self.rest.app = RestDoor(means("rest"), routes=ROUTES, catalog=parts.gateway.catalog)
        self.vendors.app = VendorDoor(means("vendors"), clock=time.time)
        if settings.mcp.enabled:
            self.mcp.app = await stack.enter_async_context(open_mcp(settings, parts.gateway, means("mcp")))
        self.openrpc.app = _document(parts.openrpc)
        self.openapi.app = _document(WhenAsked(partial(openapi_document, settings)))


def _whole(route: Route) -> Route:
    """The same, also for paths with an encoded line feed: they too are refused in the words of their door."""
    route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return route


def _rpc_door(settings: Settings, parts: Parts, drain: Drain, logs: Logs) -> RpcDoor:
    problems = logs.logger("rpc")
    return RpcDoor(
        parts.gateway.serve,
        limits=_limits(settings),
        is_mapped=settings.server.http_status == "mapped",
        is_draining=lambda: drain.is_draining,
        new_request_id=new_request_id,
        monotonic=time.monotonic,
        crashed=lambda problem, request_id: problems.error("door_failed", request_id=request_id, exc_info=problem),
    )


def _means(name: str, settings: Settings, parts: Parts, drain: Drain, logs: Logs) -> Means:
    """What a door of plain HTTP works with; its mistakes are logged under its name."""
    problems = logs.logger(name)
    return Means(
        parts.gateway.serve,
        limits=_limits(settings),
        is_draining=lambda: drain.is_draining,
        new_request_id=new_request_id,
        monotonic=time.monotonic,
        crashed=lambda problem, request_id: problems.error("door_failed", request_id=request_id, exc_info=problem),
    )


def _limits(settings: Settings) -> RpcLimits:
    server = settings.server
    return RpcLimits(
        body_bytes_max=server.body_bytes_max,
        batch_max=server.batch_max,
        depth_max=server.depth_max,
        batch_concurrency=server.batch_concurrency,
        read_timeout_seconds=server.read_timeout_seconds,
        ping_seconds=server.ping_seconds,
        response_bytes_max=server.response_bytes_max,
    )


def _document(document: Callable[[], Awaitable[Mapping[str, object]]]) -> ASGIApp:
    body = b""

    async def show(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal body
        body = body or orjson.dumps(await document())
        await Response(body, media_type="application/json")(scope, receive, send)

    return show
