"""The door behind a real uvicorn on loopback, configured as it is shipped; and raw bytes for what no client library sends."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette

from server.config_sections import ServerSettings
from server.metrics import Metrics
from server.middleware import transport
from server.rpc import RpcDoor
from server.serving import _config, listen


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the signals of this process belong to the tests


@dataclass
class Served:
    port: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}/rpc"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/rpc"

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection; it is closed with the server."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer


@asynccontextmanager
async def served(door: RpcDoor, **settings: object) -> AsyncIterator[Served]:
    said = ServerSettings.model_validate({"port": 0, **settings})
    app = transport(
        Starlette(),
        metrics=Metrics(None),
        monotonic=time.monotonic,
        body_bytes_max=said.body_bytes_max,
        direct={"/rpc": door},
        sockets=("/rpc",),
    )
    listener = listen("127.0.0.1", 0)
    server = _Server(_config(app, said))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    at = Served(listener.getsockname()[1])
    try:
        yield at
    finally:
        for writer in at.writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        server.should_exit = True
        async with asyncio.timeout(30):
            await serving


def request(body: bytes, *headers: str) -> bytes:
    """A POST as bytes."""
    lines = [
        "POST /rpc HTTP/1.1",
        "host: x",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Status, head and body of an answer with a length, or without a body."""
    async with asyncio.timeout(12):  # less than the bounds that hold when a test sets none
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
    return int(head.split()[1]), head, body
