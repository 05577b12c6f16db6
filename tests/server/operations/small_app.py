"""A small app behind the real `serve`: calls that wait, counted by a real journal. Run as a process by the tests beside it."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from monetization.calls import Call, Credential
from server.config import Settings
from server.drain import Drain
from server.health import Health, health_routes
from server.ids import new_request_id
from server.journal import Journal
from server.log_writer import LineWriter
from server.logs import Logs
from server.metrics import Metrics, metrics_route, shared_directory
from server.middleware import transport
from server.serving import serve, worker_app


def make_app(settings: Settings, drain: Drain) -> ASGIApp:
    logs = Logs(LineWriter(2), now=time.time)
    metrics = Metrics(shared_directory(os.environ))
    journal = Journal(logs, metrics, drain, now=time.time, monotonic=time.monotonic)
    health = Health(drain, {})
    enough = asyncio.Event()

    async def end_work(_: Request) -> Response:
        enough.set()
        return PlainTextResponse("")

    async def work(request: Request) -> Response:
        if drain.is_draining:
            return PlainTextResponse("draining", 503)
        with journal.entry(Call("work", None, Credential("none"), new_request_id())):
            sys.stdout.write("working\n")
            sys.stdout.flush()
            try:
                await asyncio.sleep(float(request.query_params.get("seconds", "0")))
                if "waits" in request.query_params:
                    await enough.wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0.3)  # closing a tab takes a moment
                raise
        return PlainTextResponse(str(os.getpid()))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with logs.capturing():
            health.started()
            yield
            sys.stdout.write(f"closing with {drain.running}\n")
            sys.stdout.flush()
        logs.close()

    app = Starlette(
        routes=[Route("/work", work), Route("/enough", end_work), *health_routes(health), metrics_route(metrics)],
        lifespan=lifespan,
    )
    return transport(app, metrics=metrics, monotonic=time.monotonic, body_bytes_max=1024)


def create_worker_app() -> ASGIApp:
    return worker_app(os.environ, make_app)


def main(file: Path) -> None:
    def say(host: str, port: int) -> None:
        sys.stdout.write(f"http://{host}:{port}\n")
        sys.stdout.flush()

    serve(
        Settings.load(file, {}),
        file=file,
        make_app=make_app,
        worker_factory="tests.server.operations.small_app:create_worker_app",
        on_listen=say,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
