"""Agents of both eras that speak to a server over real sockets, by the official SDK and by hand. Nothing is asserted here."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import aiohttp
import httpx2
from mcp.client.client import Client as Sdk
from mcp.client.streamable_http import streamable_http_client

from tests.fakes.server import Server

Era = Literal["modern", "legacy"]
ERAS: tuple[Era, ...] = ("modern", "legacy")
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
_VERSION = "io.modelcontextprotocol/protocolVersion"
_ABLE = "io.modelcontextprotocol/clientCapabilities"


@asynccontextmanager
async def agent(server: Server, token: str, era: Era = "modern", **headers: str) -> AsyncIterator[Sdk]:
    """The SDK's own client, after it has found out what the server speaks."""
    head = {"authorization": f"Bearer {token}", **headers}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=head, timeout=30))
        wire = streamable_http_client(f"{server.url}/mcp", http_client=http)
        yield await stack.enter_async_context(Sdk(wire, mode="auto" if era == "modern" else "legacy"))


def message(method: str, params: dict[str, Any], era: Era, message_id: object = 1) -> dict[str, Any]:
    """A request as it stands in the body."""
    meta = dict(params.pop("_meta", {}))
    if era == "modern":
        meta |= {_VERSION: MODERN, _ABLE: {}}
    return {"jsonrpc": "2.0", "id": message_id, "method": method, "params": {**params, "_meta": meta}}


def head_of(body: dict[str, Any], token: str, era: Era) -> dict[str, str]:
    """The headers that belong to it."""
    head = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    if token:
        head["authorization"] = f"Bearer {token}"
    if era == "legacy":
        return {**head, "mcp-protocol-version": LEGACY}
    name = body["params"].get("name")
    named = {"mcp-name": name} if isinstance(name, str) else {}
    return {**head, "mcp-protocol-version": MODERN, "mcp-method": body["method"], **named}


class Raw:
    """Sends requests that no SDK would send, and leaves when it wants."""

    def __init__(self, server: Server, http: aiohttp.ClientSession, token: str = "", era: Era = "modern") -> None:
        self.server = server
        self.http = http
        self.token = token
        self.era = era

    def post(
        self, method: str, params: dict[str, Any], *, message_id: object = 1, **headers: str
    ) -> "aiohttp.client._RequestContextManager":
        """One exchange."""
        body = message(method, params, self.era, message_id)
        head = {**head_of(body, self.token, self.era), **{name.replace("_", "-"): v for name, v in headers.items()}}
        return self.http.post(f"{self.server.url}/mcp", json=body, headers=head)

    async def notify(self, method: str, params: dict[str, Any]) -> int:
        """The status of a notification."""
        body = {"jsonrpc": "2.0", "method": method, "params": params}
        async with self.http.post(
            f"{self.server.url}/mcp", json=body, headers=head_of(body, self.token, self.era)
        ) as reply:
            return reply.status


async def events_of(reply: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The messages of an answer, whether it is a stream or not."""
    if reply.content_type != "text/event-stream":
        yield await reply.json()
        return
    async for line in reply.content:
        if line.startswith(b"data:") and line[5:].strip():
            yield json.loads(line[5:])
