"""The product's own door on a port of this process, with fixtures beside its tools. Nothing is asserted here."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from server.auth.issuing import Holder, issued
from server.compose import Instruments, compose
from server.config import Settings
from server.drain import Drain
from server.ids import new_request_id
from server.log_writer import LineWriter
from server.logs import Logs
from server.mcp.opening import open_mcp, routes_of
from server.metrics import Metrics
from server.plain_http import Means
from server.rpc_calls import RpcLimits
from tests.fakes.ports import own_port


@dataclass(frozen=True)
class Stand:
    """Where it listens, and what opens it."""

    url: str
    token: str
    crashes: list[BaseException]


class Showing:
    """Shows a credential for clients that cannot, such as the conformance suite."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._shown = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not any(name == b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], self._shown]}
        await self._app(scope, receive, send)


def settings_in(folder: Path, private_key: str, port: int) -> Settings:
    """A server with the simulator, whose door for agents is open."""
    auth = {
        "issuer": "https://issuer.example",
        "audience": "tollgate",
        "algorithms": ["ES256"],
        "private_key": private_key,
    }
    return Settings.of(
        {
            "server": {"port": port},
            "storage": {"url": f"sqlite:///{folder / 'stand.db'}"},
            "auth": auth,
            "providers": {"simulator": {"kind": "simulator", "models": ["simulator"]}},
            "routing": {"default_provider": "simulator", "default_model": "simulator"},
            "mcp": {"enabled": True},
        }
    )


@asynccontextmanager
async def standing(
    folder: Path, private_key: str, extend: Callable[[Any], None], *, shows: bool = True
) -> AsyncIterator[Stand]:
    """The door, on 127.0.0.1. `shows`: requests without a credential get one on their way."""
    with own_port() as port:
        async with _standing(settings_in(folder, private_key, port), extend, shows=shows) as stand:
            yield stand


@asynccontextmanager
async def _standing(settings: Settings, extend: Callable[[Any], None], *, shows: bool) -> AsyncIterator[Stand]:
    token = issued(settings, Holder("agent", "professional", None), expires_seconds=3600, now=time.time())
    logs = Logs(LineWriter(os.open(os.devnull, os.O_WRONLY)), now=time.time)
    crashes: list[BaseException] = []
    async with compose(settings, Instruments(logs, Metrics(), Drain())) as parts:
        means = Means(
            parts.gateway.serve,
            limits=RpcLimits(),
            is_draining=lambda: False,
            new_request_id=new_request_id,
            crashed=lambda problem, _: crashes.append(problem),
            monotonic=time.monotonic,
        )
        async with open_mcp(settings, parts.gateway, means, extend=extend) as door:
            app: ASGIApp = Starlette(routes=routes_of(settings, door))
            server = uvicorn.Server(
                uvicorn.Config(
                    Showing(app, token) if shows else app,
                    port=settings.server.port,
                    log_config=None,
                    lifespan="off",
                    ws="none",
                )
            )
            running = asyncio.create_task(server._serve())
            while not server.started:  # noqa: ASYNC110  # uvicorn says it by this alone
                await asyncio.sleep(0.01)
            yield Stand(f"http://127.0.0.1:{settings.server.port}", token, crashes)
            server.should_exit = True
            await running
    logs.close()
