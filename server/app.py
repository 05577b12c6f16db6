"""The app: routes and middleware as lists, around a composition that lives as long as the app does."""

import gc
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import orjson
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from server.compose import Instruments, Parts, compose
from server.config import Settings
from server.describe import openapi_document
from server.drain import Drain
from server.from_settings import secrets_of
from server.health import Health, health_routes
from server.ids import new_request_id
from server.log_writer import LineWriter
from server.logs import Logs
from server.mcp.opening import direct_of, open_mcp, routes_of
from server.metrics import Metrics, metrics_route, shared_directory
from server.middleware import transport
from server.plain_http import Means
from server.redaction import Redactor
from server.rest.door import PREFIXES, RestDoor
from server.rest.tables import ROUTES
from server.rest_export import PATH as EXPORT_PATH
from server.rest_export import ExportDoor
from server.rest_ingestion import PATH as EVENTS_PATH
from server.rest_ingestion import EventsDoor
from server.rpc import RpcDoor
from server.rpc_calls import RpcLimits
from server.serving import worker_app
from server.vendors import tables as vendor_tables
from server.vendors.door import VendorDoor

STDOUT = 1


class Late:
    """An ASGI endpoint that exists once the composition does; the server takes no request before."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand the exchange on."""
        assert self.app is not None, "a request came before the start was complete"
        return self.app(scope, receive, send)


def create_app(settings: Settings, drain: Drain, *, shared_metrics: Path | None = None) -> ASGIApp:
    """The whole app for one process. Entering its lifespan builds everything; a configuration that cannot work fails there."""
    metrics = Metrics(shared_metrics)
    logs = Logs(
        LineWriter(STDOUT, on_dropped=metrics.log_lines_dropped),
        now=time.time,
        level=settings.logging.level,
        style=settings.logging.format,
        redactor=Redactor(secrets_of(settings)),
    )
    instruments = Instruments(logs, metrics, drain)
    rpc, document, events, export, rest, described, vendors = Late(), Late(), Late(), Late(), Late(), Late(), Late()
    mcp = Late()
    problems = logs.logger("health")

    def check_failed(name: str, problem: Exception) -> None:
        problems.warning("check_failed", check=name, problem=type(problem).__name__)

    health = Health(drain, {}, on_failure=check_failed)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        async with AsyncExitStack() as stack:
            stack.callback(logs.close)
            stack.enter_context(logs.capturing())
            parts = await stack.enter_async_context(compose(settings, instruments))
            rpc.app = _rpc_door(settings, parts, drain, logs)
            events.app = EventsDoor(_means("events", settings, parts, drain, logs))
            export.app = ExportDoor(_means("export", settings, parts, drain, logs))
            facade = _means("rest", settings, parts, drain, logs)
            rest.app = RestDoor(facade, routes=ROUTES, catalog=parts.gateway.catalog)
            vendors.app = VendorDoor(_means("vendors", settings, parts, drain, logs), clock=time.time)
            if settings.mcp.enabled:
                opening = open_mcp(settings, parts.gateway, _means("mcp", settings, parts, drain, logs))
                mcp.app = await stack.enter_async_context(opening)
            document.app = _document(parts.openrpc)
            described.app = _document(lambda: openapi_document(settings))
            health.checks.update(parts.checks)
            _settle_memory()
            health.started()
            logs.logger("server").info("started", url=settings.server.public_url)
            yield

    routes: list[BaseRoute] = [
        Route("/rpc", rpc),  # for `/rpc/`, which is redirected; `/rpc` itself goes the direct way
        Route(EVENTS_PATH, events),  # the same
        Route(EXPORT_PATH, export),
        Route("/openrpc.json", document, methods=["GET"]),
        Route("/openapi.json", described, methods=["GET"]),
        *health_routes(health),
        metrics_route(instruments.metrics),
        *routes_of(settings, mcp),
        *(Route(path, vendors) for path in vendor_tables.PATHS),
        *(Route(prefix, rest) for prefix in PREFIXES),  # after every path of its own
    ]
    return transport(
        Starlette(routes=routes, lifespan=lifespan),
        metrics=instruments.metrics,
        monotonic=time.monotonic,
        body_bytes_max=settings.server.body_bytes_max,
        cors_origins=settings.server.cors_origins,
        direct={
            "/rpc": rpc,
            EVENTS_PATH: events,
            **dict.fromkeys(vendor_tables.DIRECT, vendors),
            **direct_of(settings, mcp),
        },
        bounded=tuple(prefix.partition("{")[0] for prefix in (*PREFIXES, *vendor_tables.PATHS)),
    )


def create_worker_app() -> ASGIApp:
    """The app of one of several workers; uvicorn calls this in each new process."""
    shared = shared_directory(os.environ)
    return worker_app(os.environ, lambda settings, drain: create_app(settings, drain, shared_metrics=shared))


GARBAGE_THRESHOLDS = (20_000, 10, 10)
"""New objects between two collections, and how many of one kind between two of the next. The calls that run at the same time keep
some thousands alive; at 5000 that alone made the collector walk them again and again (2 % of a call's time)."""


def _settle_memory() -> None:
    """What the start has made stays for good, so no collection has to walk it again; a call leaves no cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


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


def _document(document: Callable[[], Mapping[str, object]]) -> ASGIApp:
    body = orjson.dumps(document())

    async def show(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(body, media_type="application/json")(scope, receive, send)

    return show
