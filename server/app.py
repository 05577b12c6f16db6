"""The app: routes and middleware as lists, around a composition that lives as long as the app does."""

import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.types import ASGIApp

from server.compose import Instruments, compose
from server.config import Settings
from server.doors import Doors
from server.drain import Drain
from server.from_settings import secrets_of
from server.health import Health, health_routes
from server.log_writer import LineWriter
from server.logs import Logs
from server.metrics import Metrics, metrics_route, shared_directory
from server.middleware import transport
from server.redaction import Redactor
from server.serving import worker_app

STDOUT = 1


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
    doors = Doors()
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
            await doors.open(settings, parts, drain, logs, stack)
            health.checks.update(parts.checks)
            _settle_memory()
            health.started()
            logs.logger("server").info("started", url=settings.server.public_url)
            yield

    routes = [*health_routes(health), metrics_route(metrics, settings.server.metrics_token), *doors.routes(settings)]
    return transport(
        Starlette(routes=routes, lifespan=lifespan),
        metrics=metrics,
        monotonic=time.monotonic,
        body_bytes_max=settings.server.body_bytes_max,
        cors_origins=settings.server.cors_origins,
        direct=doors.direct(settings),
        sockets=("/rpc",),
        bounded=doors.bounded(),
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
