"""The floor: a bare Starlette + aiohttp forwarder with no identity, no checks, no money and no log, as anybody would write it."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.bench.serving import serve


def forwarder(upstream: str) -> Starlette:
    """An app that sends every POST body upstream and the reply back, whole or as it arrives."""
    sessions: list[aiohttp.ClientSession] = []

    async def plain(request: Request) -> Response:
        body = await request.body()
        async with sessions[0].post(upstream, data=body, headers={"content-type": "application/json"}) as reply:
            return Response(await reply.read(), status_code=reply.status, media_type="application/json")

    async def stream(request: Request) -> Response:
        body = await request.body()
        reply = await sessions[0].post(upstream, data=body, headers={"content-type": "application/json"})

        async def forward() -> AsyncIterator[bytes]:
            async with reply:
                async for chunk in reply.content.iter_any():
                    yield chunk

        return StreamingResponse(forward(), media_type="text/event-stream")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sessions.append(session)
            yield

    return Starlette(
        routes=[Route("/plain", plain, methods=["POST"]), Route("/stream", stream, methods=["POST"])], lifespan=lifespan
    )


def main() -> None:
    """`python -m tests.bench.forwarder PORT UPSTREAM_URL`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("upstream")
    given = parser.parse_args()
    serve(forwarder(given.upstream), given.port)


if __name__ == "__main__":
    main()
